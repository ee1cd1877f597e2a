import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { createEmptyDatabase } from '../../../../tests/harness/postgres.ts'
import { functionFilesBelow, migrateDatabase } from './migrate.ts'

const root = mkdtempSync(join(tmpdir(), 'orien-migrate-'))
afterAll(() => rmSync(root, { recursive: true }))

/** A release: a folder as `drizzle-kit generate` leaves it, beside a folder of functions. */
function release(
  name: string,
  migrations: string[],
  functionBody: string,
): { migrationsDir: string; functionFiles: string[] } {
  const dir = join(root, name)
  mkdirSync(join(dir, 'migrations', 'meta'), { recursive: true })
  mkdirSync(join(dir, 'ledger'), { recursive: true })
  const entries = migrations.map((_, idx) => ({
    idx,
    version: '7',
    when: 1_000 + idx,
    tag: `000${idx}`,
    breakpoints: true,
  }))
  writeFileSync(
    join(dir, 'migrations', 'meta', '_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
  )
  for (const [index, sql] of migrations.entries())
    writeFileSync(join(dir, 'migrations', `000${index}.sql`), sql)
  writeFileSync(join(dir, 'ledger', 'functions.sql'), functionBody)
  return { migrationsDir: join(dir, 'migrations'), functionFiles: functionFilesBelow(dir) }
}

const nameOf = (text: string) =>
  `CREATE OR REPLACE FUNCTION release_name() RETURNS text LANGUAGE sql AS $$ SELECT '${text}' $$;`
const table =
  'CREATE TABLE holds (id int PRIMARY KEY);\n--> statement-breakpoint\nINSERT INTO holds VALUES (1);'
const first = release('first', [table], nameOf('first'))
const second = release('second', [table, 'ALTER TABLE holds ADD COLUMN micros int8;'], nameOf('second'))

async function read(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

test('functions are found in every folder but migrations', () => {
  expect(first.functionFiles).toEqual([join(root, 'first', 'ledger', 'functions.sql')])
})

test('six replicas that start at once migrate once, and all of them start', async () => {
  await using database = await createEmptyDatabase()
  const results = await Promise.all(
    Array.from({ length: 6 }, () => migrateDatabase({ url: database.url, ...second })),
  )
  expect(results.map((result) => result.applied).sort()).toEqual([0, 0, 0, 0, 0, 2])
  expect(await read(database.url, 'SELECT id, micros FROM holds')).toEqual([{ id: 1, micros: null }])
})

test('a second start applies nothing and loads the functions anew', async () => {
  await using database = await createEmptyDatabase()
  expect(await migrateDatabase({ url: database.url, ...first })).toEqual({ applied: 1, schema: 'current' })
  const patched = release('patched', [table], nameOf('patched'))
  expect(await migrateDatabase({ url: database.url, ...patched })).toEqual({ applied: 0, schema: 'current' })
  expect(await read(database.url, 'SELECT release_name()')).toEqual([{ release_name: 'patched' }])
})

test('a replica of the release before leaves the newer schema and its functions alone', async () => {
  await using database = await createEmptyDatabase()
  await migrateDatabase({ url: database.url, ...second })
  expect(await migrateDatabase({ url: database.url, ...first })).toEqual({ applied: 0, schema: 'newer' })
  expect(await read(database.url, 'SELECT release_name()')).toEqual([{ release_name: 'second' }])
})

test('an applied migration that was edited is refused', async () => {
  await using database = await createEmptyDatabase()
  await migrateDatabase({ url: database.url, ...first })
  const edited = release('edited', [table.replace('int', 'int8')], nameOf('edited'))
  await expect(migrateDatabase({ url: database.url, ...edited })).rejects.toMatchObject({
    code: 'setup_failed',
    facts: { reason: 'migration_mismatch' },
  })
  expect(await read(database.url, 'SELECT release_name()')).toEqual([{ release_name: 'first' }])
})

test('a migration that fails leaves nothing of itself or of those before it, and no lock', async () => {
  await using database = await createEmptyDatabase()
  const broken = release('broken', [table, 'ALTER TABLE nowhere ADD COLUMN micros int8;'], nameOf('broken'))
  await expect(migrateDatabase({ url: database.url, ...broken })).rejects.toMatchObject({
    cause: { code: '42P01' },
  })
  expect(await read(database.url, `SELECT to_regclass('holds') AS holds`)).toEqual([{ holds: null }])
  expect(await migrateDatabase({ url: database.url, ...second })).toEqual({ applied: 2, schema: 'current' })
})

test('of several function files either all are loaded or none', async () => {
  await using database = await createEmptyDatabase()
  await migrateDatabase({ url: database.url, ...first })
  const bad = join(root, 'bad.sql')
  writeFileSync(
    bad,
    'CREATE OR REPLACE FUNCTION release_name() RETURNS text LANGUAGE sql AS $$ SELECT * FROM nowhere $$;',
  )
  const functionFiles = [...release('half', [table], nameOf('half')).functionFiles, bad]
  await expect(migrateDatabase({ url: database.url, ...first, functionFiles })).rejects.toMatchObject({
    code: '42P01',
  })
  expect(await read(database.url, 'SELECT release_name()')).toEqual([{ release_name: 'first' }])
})

test.each([
  ['return type', `CREATE OR REPLACE FUNCTION release_name() RETURNS int LANGUAGE sql AS $$ SELECT 2 $$;`, 2],
  [
    'arguments',
    `CREATE OR REPLACE FUNCTION release_name(of text DEFAULT 'x') RETURNS text LANGUAGE sql AS $$ SELECT of $$;`,
    'x',
  ],
])('a release may change the %s of a function', async (_what, changed, answer) => {
  await using database = await createEmptyDatabase()
  await migrateDatabase({ url: database.url, ...first })
  for (const round of ['a', 'b'])
    await migrateDatabase({ url: database.url, ...release(`${answer} ${round}`, [table], changed) })
  expect(await read(database.url, 'SELECT release_name()')).toEqual([{ release_name: answer }])
})

test('a database that cannot be reached is database_unavailable', async () => {
  const url = 'postgres://orien:x@127.0.0.1:1/orien'
  await expect(migrateDatabase({ url, ...first })).rejects.toMatchObject({ code: 'database_unavailable' })
})
