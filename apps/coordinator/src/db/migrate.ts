import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { OrienError } from '@orien/protocol'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator'
import pg from 'pg'
import { databaseFailure } from './failure.ts'
import { DATABASE_LIMITS } from './limits.ts'

/** Any number would do; this one is `orien` in ASCII. Everything that changes the schema takes it. */
const SCHEMA_LOCK = 0x6f_72_69_65_6en

export type MigrateOptions = {
  url: string
  /** Written by `drizzle-kit generate`: `*.sql` and `meta/_journal.json`. */
  migrationsDir: string
  /** Files of `CREATE OR REPLACE FUNCTION`, loaded at every start in this order, in one transaction. */
  functionFiles: readonly string[]
}

/** `newer`: the database has migrations that this code does not know; its functions were left alone. */
export type Migrated = { applied: number; schema: 'current' | 'newer' }

/**
 * Brings a database to this code's schema and functions. Any number of replicas may do so at once: one
 * works, the others wait and find nothing to do. Needs a session, so no pooler in transaction mode.
 *
 * A replica of the previous release that restarts in the middle of an upgrade finds a newer schema. It
 * loads no functions then: its own would replace those of the release after it.
 *
 * @throws OrienError `setup_failed` when an applied migration was edited or one was left out
 * @throws OrienError `database_unavailable` when the database cannot be reached
 */
export async function migrateDatabase(options: MigrateOptions): Promise<Migrated> {
  const client = new pg.Client({
    connectionString: options.url,
    connectionTimeoutMillis: DATABASE_LIMITS.connectTimeoutMs,
    application_name: 'orien migrate',
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT pg_advisory_lock($1)', [SCHEMA_LOCK])
    const before = await appliedHashes(client)
    await applyMigrations(drizzle(client), { migrationsFolder: options.migrationsDir })
    const after = await appliedHashes(client)
    const schema = compareWithFiles(after, options.migrationsDir)
    if (schema === 'current') await loadFunctions(client, options.functionFiles)
    return { applied: after.size - before.size, schema }
  } catch (error) {
    throw databaseFailure(error, 'unknown')
  } finally {
    // Ends the session and with it the lock, also when the session is in a failed transaction.
    await client.end().catch(() => {})
  }
}

/** The function files of a source tree: every `*.sql` outside a `migrations` folder, in the order of paths. */
export function functionFilesBelow(sourceDir: string): string[] {
  return readdirSync(sourceDir, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.sql') && !path.split(/[\\/]/).includes('migrations'))
    .sort()
    .map((path) => join(sourceDir, path))
}

async function appliedHashes(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ made: boolean }>(
    `SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS made`,
  )
  if (!rows[0]?.made) return new Set()
  const applied = await client.query<{ hash: string }>('SELECT hash FROM drizzle.__drizzle_migrations')
  return new Set(applied.rows.map((row) => row.hash))
}

// Drizzle compares times only: it passes over a migration that is older than the newest applied one, as a
// merge of two branches makes it, and never looks at an edited one again.
function compareWithFiles(applied: ReadonlySet<string>, migrationsDir: string): Migrated['schema'] {
  const files = readMigrationFiles({ migrationsFolder: migrationsDir })
  const missing = files.findIndex((file) => !applied.has(file.hash))
  if (missing >= 0) {
    throw new OrienError(
      'setup_failed',
      `Migration ${missing} was edited or left out after a later one was applied.`,
      {
        reason: 'migration_mismatch',
      },
    )
  }
  return applied.size > files.length ? 'newer' : 'current'
}

async function loadFunctions(client: pg.Client, functionFiles: readonly string[]): Promise<void> {
  const texts = functionFiles.map((path) => readFileSync(path, 'utf8'))
  const names = texts.flatMap((text) => [...text.matchAll(FUNCTION_NAME)].map(([, name = '']) => name))
  await client.query('BEGIN')
  await client.query('SAVEPOINT functions')
  if (!(await replaceAll(client, texts, names))) {
    await client.query('ROLLBACK TO SAVEPOINT functions')
    for (const known of await functionsNamed(client, names)) await client.query(`DROP FUNCTION ${known}`)
    for (const text of texts) await client.query(text)
  }
  await client.query('COMMIT')
}

const FUNCTION_NAME = /^create or replace function (\w+)/gim
const OTHER_RETURN_TYPE = '42P13'

/**
 * Replaces functions in place, which a call under way elsewhere does not notice. PostgreSQL keeps a return type, and makes
 * a second function when arguments change.
 *
 * @returns false when that happened
 */
async function replaceAll(
  client: pg.Client,
  texts: readonly string[],
  names: readonly string[],
): Promise<boolean> {
  try {
    for (const text of texts) await client.query(text)
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === OTHER_RETURN_TYPE) return false
    throw error
  }
  return (await functionsNamed(client, names)).length === new Set(names).size
}

/** With their arguments, as a statement names them. */
async function functionsNamed(client: pg.Client, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ known: string }>(
    `SELECT oid::regprocedure::text AS known FROM pg_proc
     WHERE proname = ANY ($1) AND pronamespace = current_schema()::regnamespace`,
    [names],
  )
  return rows.map(({ known }) => known)
}
