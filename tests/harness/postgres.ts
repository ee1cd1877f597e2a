import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../apps/coordinator/src/db/embedded.ts'
import { functionFilesBelow, migrateDatabase } from '../../apps/coordinator/src/db/migrate.ts'
import { createPool } from '../../apps/coordinator/src/db/pool.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Superuser of the cluster that the whole run shares. */
    postgresAdminUrl: string
  }
}

/** Vitest's globalSetup: one cluster for the run, as durable as a user's, in a directory that goes with it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), 'orien-postgres-'))
  const postgres = await startEmbeddedPostgres({ dataDir })
  project.provide('postgresAdminUrl', postgres.url)
  return async () => {
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** A database of a test's own. */
export type TestDatabase = AsyncDisposable & { url: string; drop: () => Promise<void> }

/**
 * Makes a database with every migration and function in it, as a copy of a template that is migrated once
 * for each state of their files. Drop it in `afterAll`, or bind it with `await using`.
 *
 * @example
 * const database = await createTestDatabase()
 * afterAll(database.drop)
 * const pool = createPool({ url: database.url })
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  return createFrom(await ensureTemplate())
}

/** Makes a database with nothing in it, for tests of the database layer itself. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return createFrom('template1')
}

async function createFrom(template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await asAdmin((admin) => admin(`CREATE DATABASE ${name} TEMPLATE ${template}`))
  const drop = () => asAdmin((admin) => admin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  return { url: urlOf(name), drop, [Symbol.asyncDispose]: drop }
}

const sourceDir = fileURLToPath(new URL('../../apps/coordinator/src', import.meta.url))
const migrationsDir = join(sourceDir, 'db', 'migrations')
const TEMPLATE_LOCK = 1

async function ensureTemplate(): Promise<string> {
  const functionFiles = functionFilesBelow(sourceDir)
  const digest = digestOf([...migrationFiles(), ...functionFiles])
  const [template, unfinished] = [`template_${digest}`, `unfinished_${digest}`]
  await asAdmin(async (admin) => {
    // Test files run in processes of their own; the first one here works for all.
    await admin(`SELECT pg_advisory_lock(${TEMPLATE_LOCK})`)
    if ((await admin(`SELECT 1 FROM pg_database WHERE datname = '${template}'`)) > 0) return
    await admin(`DROP DATABASE IF EXISTS ${unfinished}`)
    await admin(`CREATE DATABASE ${unfinished}`)
    await migrateDatabase({ url: urlOf(unfinished), migrationsDir, functionFiles })
    await admin(`ALTER DATABASE ${unfinished} RENAME TO ${template}`)
  })
  return template
}

const migrationFiles = () =>
  readdirSync(migrationsDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()

function digestOf(paths: readonly string[]): string {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(path).update('\0').update(readFileSync(path)).update('\0')
  return hash.digest('hex').slice(0, 16)
}

function urlOf(database: string): string {
  const url = new URL(inject('postgresAdminUrl'))
  url.pathname = `/${database}`
  return url.href
}

/** One session, so that a lock taken in it lasts until `work` is done. Statements answer their row count. */
async function asAdmin(work: (admin: (sql: string) => Promise<number>) => Promise<unknown>): Promise<void> {
  const pool = createPool({ url: inject('postgresAdminUrl'), connections: 1 })
  try {
    await work(async (sql) => (await pool.query(sql)).rowCount ?? 0)
  } finally {
    await pool.end()
  }
}
