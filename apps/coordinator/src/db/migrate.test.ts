import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
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

const ownDir = fileURLToPath(new URL('migrations', import.meta.url))

/** The project's own migrations up to one of them. */
function ownUpTo(tag: string): { migrationsDir: string; functionFiles: string[] } {
  const migrationsDir = join(root, tag)
  cpSync(ownDir, migrationsDir, { recursive: true })
  const path = join(migrationsDir, 'meta', '_journal.json')
  const journal = JSON.parse(readFileSync(path, 'utf8')) as { entries: { tag: string }[] }
  const entries = journal.entries.slice(0, journal.entries.findIndex((entry) => entry.tag === tag) + 1)
  writeFileSync(path, JSON.stringify({ ...journal, entries }))
  return { migrationsDir, functionFiles: [] }
}

test('a ledger whose legs were rows of their own keeps every leg, in its order', async () => {
  await using database = await createEmptyDatabase()
  await migrateDatabase({ url: database.url, ...ownUpTo('0010_relayer') })
  await read(
    database.url,
    `insert into ledger_transfers (id, kind, reference, session_id)
       values (1, 'deposit', 'a', 's'), (2, 'settlement', 'b', 's'), (3, 'refund', 'c', 's');
     insert into ledger_entries (transfer_id, account, amount_micros)
       values (2, 'x', -10), (1, 'rails:escrow:inbound', -7), (2, 'y', 9), (1, 'sessions:s:budget', 7), (2, 'z', 1);
     insert into ledger_accounts values ('x', -10, 1)`,
  )
  await migrateDatabase({ url: database.url, migrationsDir: ownDir, functionFiles: [] })
  expect(
    await read(
      database.url,
      'select accounts, amounts_micros::text[] as amounts from ledger_transfers order by id',
    ),
  ).toEqual([
    { accounts: ['rails:escrow:inbound', 'sessions:s:budget'], amounts: ['-7', '7'] },
    { accounts: ['x', 'y', 'z'], amounts: ['-10', '9', '1'] },
    { accounts: [], amounts: [] },
  ])
  expect(await read(database.url, 'select count(*)::int as legs from ledger_entries')).toEqual([{ legs: 5 }])
  expect(await read(database.url, 'select * from ledger_accounts')).toEqual([])
})

test('the database itself refuses a transfer that does not sum to zero, moves nothing, or names too few accounts', async () => {
  await using database = await createEmptyDatabase()
  await migrateDatabase({ url: database.url, migrationsDir: ownDir, functionFiles: [] })
  const insert = (accounts: string, amounts: string) =>
    read(
      database.url,
      `insert into ledger_transfers (kind, reference, session_id, accounts, amounts_micros)
        values ('capture', '${accounts} ${amounts}', 's', '${accounts}', '${amounts}')`,
    )
  for (const [accounts, amounts] of [
    ['{a,b}', '{-1,2}'],
    ['{a,b}', '{0,0}'],
    ['{a,b,c}', '{-2,1,2}'],
    ['{a,b,c}', '{-1,1,0}'],
    ['{a}', '{-1,1}'],
    ['{a}', '{1}'],
  ] as const)
    await expect(insert(accounts, amounts), amounts).rejects.toThrow('ledger_transfers_balanced')
  await insert('{a,b,c}', '{-3,1,2}')
  await insert('{a,b}', '{-1,1}')
})
