import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../db/embedded.ts'
import { createDatabase, type Database } from '../db/executor.ts'
import { functionFilesBelow, migrateDatabase } from '../db/migrate.ts'
import { createPool } from '../db/pool.ts'
import { selectLiabilities } from '../solvency/store.ts'
import { foldAccounts, selectDrift } from './store.ts'

// A PostgreSQL of its own: what may be folded depends on every transaction of a cluster.
const dataDir = mkdtempSync(join(tmpdir(), 'orien-fold-'))
let postgres: EmbeddedPostgres
let db: Database

beforeAll(async () => {
  postgres = await startEmbeddedPostgres({ dataDir })
  const sourceDir = fileURLToPath(new URL('..', import.meta.url))
  const migrationsDir = join(sourceDir, 'db/migrations')
  await migrateDatabase({ url: postgres.url, migrationsDir, functionFiles: functionFilesBelow(sourceDir) })
  db = createDatabase(createPool({ url: postgres.url, connections: 4 }))
  await db.pool.query('alter system set autovacuum = off')
  await db.pool.query('select pg_reload_conf()')
})
beforeEach(async () => {
  await db.pool.query('truncate ledger_transfers, ledger_accounts, facts')
})
afterAll(async () => {
  await db.pool.end()
  await postgres.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

let references = 0
async function deposit(client: pg.Pool | pg.PoolClient, micros: bigint): Promise<void> {
  references += 1
  await client.query(
    `insert into ledger_transfers (kind, reference, session_id, accounts, amounts_micros)
       values ('deposit', $1, 's', array['rails:escrow:inbound', 'platform:reserve'], array[-$2::bigint, $2::bigint])`,
    [`deposit ${references}`, micros],
  )
}

/** What is folded of the reserve, what solvency says of it, and what the audit finds. */
async function reserve() {
  const { rows } = await db.pool.query<{ balance: bigint }>(
    `select balance_micros as balance from ledger_accounts where account = 'platform:reserve'`,
  )
  const { reserveMicros } = await selectLiabilities(db.read)
  const drift = (await selectDrift(db.pool)).filter(({ violations }) => violations > 0)
  return { folded: rows[0]?.balance ?? null, owed: reserveMicros, drift }
}

async function inTwoTransactions(
  work: (first: pg.PoolClient, second: pg.PoolClient) => Promise<void>,
): Promise<void> {
  const [first, second] = await Promise.all([db.pool.connect(), db.pool.connect()])
  try {
    await first.query('begin')
    await second.query('begin')
    await work(first, second)
  } finally {
    first.release()
    second.release()
  }
}

test('what was written before one call is folded by the next, once', async () => {
  await deposit(db.pool, 5n)
  await foldAccounts(db.read)
  expect(await reserve()).toEqual({ folded: null, owed: 5n, drift: [] })
  await foldAccounts(db.read)
  expect(await reserve()).toEqual({ folded: 5n, owed: 5n, drift: [] })
  await deposit(db.pool, 2n)
  for (let call = 0; call < 3; call += 1) await foldAccounts(db.read)
  expect(await reserve()).toEqual({ folded: 7n, owed: 7n, drift: [] })
})

test('a transfer that is committed after later ones were is not left out', async () => {
  await inTwoTransactions(async (late, quick) => {
    // The numbers of transactions and of transfers have opposite orders.
    await quick.query('select pg_current_xact_id()')
    await deposit(late, 100n)
    await deposit(quick, 1n)
    await quick.query('commit')
    for (let call = 0; call < 3; call += 1) await foldAccounts(db.read)
    expect(await reserve()).toEqual({ folded: null, owed: 1n, drift: [] })
    await late.query('commit')
  })
  for (let call = 0; call < 2; call += 1) await foldAccounts(db.read)
  expect(await reserve()).toEqual({ folded: 101n, owed: 101n, drift: [] })
})

test('replicas that fold at the same time fold a transfer once', async () => {
  await deposit(db.pool, 3n)
  await foldAccounts(db.read)
  await inTwoTransactions(async (first, second) => {
    await first.query('select ledger_fold(10)')
    const waiting = second.query('select ledger_fold(10)')
    await first.query('commit')
    await waiting
    await second.query('commit')
  })
  expect(await reserve()).toEqual({ folded: 3n, owed: 3n, drift: [] })
})

test('a ledger that is far behind is folded part by part', async () => {
  for (const micros of [1n, 10n, 100n]) await deposit(db.pool, micros)
  await foldAccounts(db.read)
  const folded: (bigint | null)[] = []
  for (let call = 0; call < 3; call += 1) {
    await db.pool.query('select ledger_fold(2)')
    const { folded: now, ...sums } = await reserve()
    expect(sums).toEqual({ owed: 111n, drift: [] })
    folded.push(now)
  }
  expect(folded).toEqual([11n, 111n, 111n])
})

test('a cut of the cluster from which a database was restored is replaced', async () => {
  await deposit(db.pool, 4n)
  await db.pool.query(
    `insert into facts (name, value) values ('ledger.cut', '{"transfer": 1, "before": "99999999999"}')`,
  )
  for (let call = 0; call < 2; call += 1) await foldAccounts(db.read)
  expect(await reserve()).toEqual({ folded: 4n, owed: 4n, drift: [] })
})

test('a transfer gets its number after its transaction has one, and folding refuses a transaction that has one', async () => {
  const { rows } = await db.pool.query<{ expression: string }>(
    `select column_default as expression from information_schema.columns
       where table_name = 'ledger_transfers' and column_name = 'id'`,
  )
  await inTwoTransactions(async (client) => {
    await client.query('savepoint before')
    await client.query(`select ${rows[0]?.expression}`)
    const assigned = await client.query('select pg_current_xact_id_if_assigned() is not null as has')
    expect(assigned.rows).toEqual([{ has: true }])
    await expect(client.query('select ledger_fold(10)')).rejects.toThrow('a transaction of its own')
    await client.query('rollback')
  })
})
