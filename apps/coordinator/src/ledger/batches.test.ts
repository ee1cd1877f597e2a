import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { endLease } from '../../../../tests/harness/leases.ts'
import { createTestDatabase, type TestDatabase } from '../../../../tests/harness/postgres.ts'
import { createBatcher } from '../db/batcher.ts'
import { createDatabase, type Database } from '../db/executor.ts'
import { createPool } from '../db/pool.ts'
import { type Submission, startExecution, submitAll } from '../execution/store.ts'
import { type Recording, recordAll } from '../metering/store.ts'
import { chainOf, insertBooks, requestFor } from './fixtures/books.ts'
import { selectDrift } from './store.ts'

let database: TestDatabase
let db: Database

beforeAll(async () => {
  database = await createTestDatabase()
  db = createDatabase(createPool({ url: database.url, connections: 4 }))
  await insertBooks(db.pool, [])
})
beforeEach(async () => {
  await db.pool.query(`truncate sessions, executions, refusals, receipts, disputes, events, ledger_transfers,
    agents, providers cascade`)
  await insertBooks(db.pool, [
    { id: 'a', budget: 1_000_000n, authorised: 1_000_000n },
    { id: 'b', budget: 25_000n, authorised: 25_000n },
    { id: 'c', budget: 1_000_000n, authorised: 0n },
  ])
})
afterAll(async () => {
  await db.pool.end()
  await database.drop()
})

const outcomes = (answers: readonly { outcome: string; code: string | null }[]) =>
  answers.map(({ outcome, code }) => code ?? outcome)

async function sessionOf(id: string) {
  const { rows } = await db.pool.query('select * from sessions where id = $1', [id])
  return rows[0]
}

async function eventsOf(id: string): Promise<string[]> {
  const { rows } = await db.pool.query(
    'select sequence, type from events where session_id = $1 order by sequence',
    [id],
  )
  expect(rows.map((row) => row.sequence)).toEqual(rows.map((_, index) => index + 1))
  return rows.map((row) => row.type)
}

async function expectNoDrift() {
  for (const drift of await selectDrift(db.pool)) expect(drift, drift.check).toMatchObject({ violations: 0 })
}

test('each item of a batch finds what the one before left of the budget, sessions mixed or not', async () => {
  const answers = await submitAll(db.pool, [
    requestFor('b', 'b1'),
    requestFor('a', 'a1'),
    requestFor('b', 'b2'),
    requestFor('none', 'n1'),
    requestFor('b', 'b3'),
    requestFor('b', 'b4'),
    requestFor('a', 'a2'),
  ])
  expect(outcomes(answers)).toEqual([
    ...['accepted', 'accepted', 'accepted', 'not_found', 'accepted', 'budget_exhausted', 'accepted'],
  ])
  expect(answers.map(({ hold, outcome }) => (outcome === 'accepted' ? hold : null))).toEqual([
    ...['10000', '10000', '10000', null, '5000', null, '10000'],
  ])
  expect(await sessionOf('b')).toMatchObject({ held_micros: 25_000n, open_executions: 3, last_event: 4 })
  expect(await eventsOf('b')).toEqual([
    ...['execution.accepted', 'execution.accepted', 'execution.accepted', 'execution.refused'],
  ])
  await expectNoDrift()
})

test('a voucher covers the items after it in its batch, and a lower one later takes nothing back', async () => {
  const voucher = (amount: string, voucherSignature: string) => ({ voucher: amount, voucherSignature })
  const answers = await submitAll(db.pool, [
    requestFor('c', 'c1'),
    requestFor('c', 'c2', voucher('20000', 'second')),
    requestFor('c', 'c3'),
    requestFor('c', 'c4', voucher('5000', 'lower')),
    requestFor('c', 'c5', voucher('30000', 'third')),
  ])
  expect(outcomes(answers)).toEqual([
    ...['voucher_required', 'accepted', 'accepted', 'voucher_required', 'accepted'],
  ])
  expect(answers[0]?.facts).toEqual({ requiredCumulativeMicros: '10000' })
  expect(answers[3]?.facts).toEqual({ requiredCumulativeMicros: '30000' })
  expect(answers[2]).toMatchObject({ voucher: '20000', voucherSignature: 'second', grant: 2 })
  expect(await sessionOf('c')).toMatchObject({ authorised_micros: 30_000n, voucher_signature: 'third' })
  await expectNoDrift()
})

test('a refusal on money stays one after the budget was freed, and a refusal of the moment does not', async () => {
  await submitAll(
    db.pool,
    ['b1', 'b2', 'b3'].map((run) => requestFor('b', run)),
  )
  const late = requestFor('b', 'b4')
  const crowded = requestFor('a', 'a1', { maxOpen: 0 })
  expect(outcomes(await submitAll(db.pool, [late, crowded]))).toEqual(['budget_exhausted', 'rate_limited'])
  await recordAll(db.pool, [chainOf('b')('b1', 100)])
  const again = await submitAll(db.pool, [late, { ...late, body: 'another' }, { ...crowded, maxOpen: 1 }])
  expect(outcomes(again)).toEqual(['budget_exhausted', 'idempotency_conflict', 'accepted'])
})

test('receipts of one session in one batch are recorded in their order, and the second is covered by what the first released', async () => {
  await submitAll(
    db.pool,
    ['b1', 'b2', 'b3'].map((run) => requestFor('b', run)),
  )
  // The third hold expired: its cost is covered only by what the receipts before it give back.
  await endLease(db.pool, '1 second', 'b3')
  await db.pool.query('select execution_expire(10)')
  await submitAll(db.pool, [requestFor('b', 'b4')])
  const next = chainOf('b')
  const [first, second] = [next('b1', 100), next('b2', 200)]
  const third = next('b3', 400, { hold: '5000', deadlineMs: 500 })
  expect(outcomes(await recordAll(db.pool, [third]))).toEqual(['receipt_out_of_order'])
  expect(outcomes(await recordAll(db.pool, [first, second, third]))).toEqual([
    'accepted',
    'accepted',
    'accepted',
  ])
  expect(await sessionOf('b')).toMatchObject({
    spent_micros: 7_000n,
    held_micros: 5_000n,
    receipt_sequence: 3,
  })
  await expectNoDrift()
})

test('a receipt out of its place in a batch is refused, and those in their places are recorded', async () => {
  await submitAll(
    db.pool,
    ['a1', 'a2', 'a3'].map((run) => requestFor('a', run)),
  )
  const next = chainOf('a')
  const [first, second, third] = [next('a1', 100), next('a2', 100), next('a3', 100)]
  const answers = await recordAll(db.pool, [first, third, second])
  expect(outcomes(answers)).toEqual(['accepted', 'receipt_out_of_order', 'accepted'])
  expect(outcomes(await recordAll(db.pool, [third, first]))).toEqual(['accepted', 'replayed'])
  await expectNoDrift()
})

test('a disputed receipt breaks its chain for the rest of the batch and moves no money', async () => {
  await submitAll(
    db.pool,
    ['a1', 'a2', 'a3'].map((run) => requestFor('a', run)),
  )
  const next = chainOf('a')
  const batch = [next('a1', 100), next('a2', 900, { observedMs: 100, wasStarted: true }), next('a3', 100)]
  expect(outcomes(await recordAll(db.pool, batch))).toEqual([
    ...['accepted', 'implausible_duration', 'receipt_out_of_order'],
  ])
  expect(await sessionOf('a')).toMatchObject({ spent_micros: 1_000n, held_micros: 20_000n })
  expect((await eventsOf('a')).slice(3)).toEqual([
    ...['execution.completed', 'execution.started', 'execution.disputed'],
  ])
  await expectNoDrift()
})

test('a receipt by another key than the registered one is refused, whatever else it says', async () => {
  await submitAll(db.pool, [requestFor('a', 'a1')])
  const receipt = chainOf('a')('a1', 100)
  expect(outcomes(await recordAll(db.pool, [{ ...receipt, nodeKey: 'other' }]))).toEqual([
    'signature_invalid',
  ])
  expect(outcomes(await recordAll(db.pool, [receipt]))).toEqual(['accepted'])
  expect(outcomes(await recordAll(db.pool, [{ ...receipt, nodeKey: 'other' }]))).toEqual([
    'signature_invalid',
  ])
})

test('a start is told once and before the end, by itself or with the receipt', async () => {
  await submitAll(
    db.pool,
    ['a1', 'a2', 'a3'].map((run) => requestFor('a', run)),
  )
  const next = chainOf('a')
  expect(await startExecution(db.pool, 'prv_books', 'a1')).toEqual({ session: 'a', sequence: 4 })
  expect(await startExecution(db.pool, 'prv_books', 'a1')).toBeNull()
  expect(await startExecution(db.pool, 'prv_other', 'a2')).toBeNull()
  await recordAll(db.pool, [
    next('a1', 100, { wasStarted: true }),
    next('a2', 100, { wasStarted: true }),
    next('a3', 0),
  ])
  expect(await startExecution(db.pool, 'prv_books', 'a2')).toBeNull()
  expect((await eventsOf('a')).slice(3)).toEqual([
    ...[
      'execution.started',
      'execution.completed',
      'execution.started',
      'execution.completed',
      'execution.completed',
    ],
  ])
})

test('an item that breaks its batch breaks alone, and the order of its neighbours is kept', async () => {
  const submitter = createBatcher({
    flush: (items: Submission[]) => submitAll(db.pool, items),
    keyOf: ({ key }) => key,
  })
  const poison = requestFor('a', 'poison', { limits: 'x', args: undefined })
  const submitted = await Promise.allSettled(
    [requestFor('a', 'a1'), poison, requestFor('a', 'a2'), requestFor('b', 'b1')].map(submitter.submit),
  )
  expect(submitted.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  const recorder = createBatcher({ flush: (items: Recording[]) => recordAll(db.pool, items) })
  const next = chainOf('a')
  const receipts = [next('a1', 100), next('a2', 100), chainOf('b')('b1', 100, { cpuMs: 2 ** 40 })]
  const recorded = await Promise.allSettled(receipts.map(recorder.submit))
  expect(recorded.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  expect(await sessionOf('a')).toMatchObject({ spent_micros: 2_000n, receipt_sequence: 2, held_micros: 0n })
  await expectNoDrift()
})

test('a key twice in one batch is decided once: its second item gets the first answer', async () => {
  const submitter = createBatcher({
    flush: (items: Submission[]) => submitAll(db.pool, items),
    keyOf: ({ key }) => key,
  })
  const both = await Promise.all(
    [requestFor('a', 'a1'), requestFor('a', 'a2', { key: 'a1', body: 'body of a1' })].map(submitter.submit),
  )
  expect(outcomes(both)).toEqual(['accepted', 'replayed'])
  expect(both[1]?.execution).toBe('a1')
  await expect(
    submitAll(db.pool, [requestFor('a', 'x1'), requestFor('a', 'x2', { key: 'x1' })]),
  ).rejects.toThrow()
  expect(await sessionOf('a')).toMatchObject({ held_micros: 10_000n, open_executions: 1 })
})

test('an attempt that was cut off before its commit leaves nothing, and one whose answer was lost is found by its key', async () => {
  const request = requestFor('a', 'a1')
  const client = await db.pool.connect()
  const cut = client.query('select execution_submit($1::json, $2), pg_terminate_backend(pg_backend_pid())', [
    JSON.stringify([request]),
    ['a'],
  ])
  await expect(cut).rejects.toThrow()
  client.release(true)
  expect(outcomes(await submitAll(db.pool, [request]))).toEqual(['accepted'])
  // Committed this time, and nobody was told.
  expect(
    outcomes(await submitAll(db.pool, [requestFor('a', 'a2', { key: 'a1', body: request.body })])),
  ).toEqual(['replayed'])
  expect(await sessionOf('a')).toMatchObject({ held_micros: 10_000n, executions: 1 })
})
