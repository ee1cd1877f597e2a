import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../../../tests/harness/postgres.ts'
import { createDatabase, type Database } from '../db/executor.ts'
import { createPool } from '../db/pool.ts'
import { submitAll } from '../execution/store.ts'
import { recordAll } from '../metering/store.ts'
import { chainOf, insertBooks, requestFor } from './fixtures/books.ts'
import { selectDrift } from './store.ts'

let database: TestDatabase
let db: Database

beforeAll(async () => {
  database = await createTestDatabase()
  db = createDatabase(createPool({ url: database.url, connections: 2 }))
  // The last line is taken away: the audit must find what got past it.
  await db.pool.query(`
    alter table sessions drop constraint sessions_within_budget, drop constraint sessions_within_voucher;
    alter table executions drop constraint executions_within_hold;
    alter table ledger_transfers drop constraint ledger_transfers_balanced;
    drop index ledger_transfers_once, receipts_chain`)
})
beforeEach(async () => {
  await db.pool.query(`truncate sessions, executions, refusals, receipts, disputes, events, ledger_transfers,
    ledger_accounts, agents, providers cascade`)
  await insertBooks(db.pool, [{ id: 'a', budget: 1_000_000n, authorised: 1_000_000n }])
  await submitAll(
    db.pool,
    ['a1', 'a2', 'a3'].map((run) => requestFor('a', run)),
  )
  const next = chainOf('a')
  await recordAll(db.pool, [next('a1', 100), next('a2', 200)])
})
afterAll(async () => {
  await db.pool.end()
  await database.drop()
})

async function found(): Promise<string[]> {
  return (await selectDrift(db.pool)).flatMap(({ check, violations }) => (violations > 0 ? [check] : []))
}

test('sound books have no drift', async () => {
  expect(await found()).toEqual([])
})

const paid = `insert into ledger_transfers (kind, reference, session_id, accounts, amounts_micros)`

test.each([
  ['all entries sum to zero', `update ledger_transfers set amounts_micros[1] = 0 where reference = 'a1'`],
  [
    'every transfer sums to zero',
    `update ledger_transfers set amounts_micros[1] = amounts_micros[1] + case reference when 'a1' then 1 else -1 end`,
  ],
  [
    'a folded balance is the sum of its entries',
    `insert into ledger_accounts select 'sessions:a:payable', 3001, max(id) from ledger_transfers`,
  ],
  ['spent + held never exceeds budget or voucher', `update sessions set authorised_micros = spent_micros`],
  ['what is held is the sum of the open holds', `update sessions set held_micros = held_micros - 1`],
  ['a capture never exceeds its hold', `update executions set hold_micros = cost_micros - 1 where id = 'a1'`],
  ['what is spent is the sum of the captures', `update sessions set spent_micros = spent_micros - 1`],
  [
    'every capture has one receipt, of its cost',
    `update ledger_transfers set amounts_micros = '{-1,1}' where reference = 'a2'`,
  ],
  [
    'every capture has one receipt, of its cost',
    `${paid} values ('capture', 'a3', 'a', '{sessions:a:budget,sessions:a:payable}', '{-1,1}')`,
  ],
  ['every receipt with a cost is captured', `delete from ledger_transfers where reference = 'a1'`],
  [
    'every run belongs to a session, and every receipt to a run of the same session',
    `update executions set session_id = 'nobody' where id = 'a3'`,
  ],
  [
    'every run belongs to a session, and every receipt to a run of the same session',
    `update receipts set execution_id = 'a9' where execution_id = 'a1'`,
  ],
  [
    'receipts of a session are numbered without a gap',
    `update receipts set sequence = 3 where execution_id = 'a2'`,
  ],
  [
    'no hold stays open past its lease',
    `update executions set lease_until = now() - interval '2 minutes' where id = 'a3'`,
  ],
  [
    'nothing earned stays unpaid for more than a day after its session has ended',
    `update sessions set status = 'ending', ended_at = now() - interval '25 hours'`,
  ],
  [
    'no part of a custodial balance is below nothing',
    `${paid} values ('custody_withdraw', 'x', '', '{agents:b:available,agents:b:withdrawing}', '{-1,1}')`,
  ],
  ['a settled session has nothing left in it', `update sessions set status = 'settled'`],
])('%s: the audit finds it broken (%#)', async (check, mischief) => {
  await db.pool.query(mischief)
  expect(await found()).toContain(check)
})
