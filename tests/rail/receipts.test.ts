import { auditLedger, createPool } from '@orien/coordinator'
import { getMetering, micros, type Receipt, reportUsage, sha256Hex } from '@orien/protocol'
import { Orien, type Session } from '@orien/sdk'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { endLease } from '../harness/leases.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let anyone: Orien
let pool: ReturnType<typeof createPool>

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
  anyone = new Orien({ baseUrl: stack.url })
  pool = createPool({ url: stack.database.url, connections: 2 })
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

/** Everything the ledger knows of a session: nothing of it may move by a refused receipt. */
async function books(session: Session) {
  const { rows } = await pool.query(
    `select spent_micros, held_micros, receipt_sequence, receipt_head, open_executions,
       (select count(*) from ledger_transfers t where t.session_id = s.id) as transfers
     from sessions s where id = $1`,
    [session.id],
  )
  return rows[0]
}

async function startRun() {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(300_000n) })
  const work = await node.dispatchOf(run.id)
  return { session, run, work }
}

const report = (jws: string) => anyone.call(reportUsage, { body: { receipts: [jws] } })

test('a receipt replayed is recorded once and gets the same answer', async () => {
  const { session, work } = await startRun()
  const jws = node.sign(node.receiptFor(work, 120))
  const first = await report(jws)
  const after = await books(session)
  const again = await Promise.all(Array.from({ length: 20 }, () => report(jws)))
  expect(first.results[0]?.accepted).toBe(true)
  for (const answer of again) expect(answer).toEqual(first)
  expect(await books(session)).toEqual(after)
  expect(after.spent_micros).toBe(1_200n)
})

test('a receipt altered by a byte is refused by its signature, wherever the byte is', async () => {
  const { session, work } = await startRun()
  const jws = node.sign(node.receiptFor(work, 120))
  const before = await books(session)
  for (let at = 0; at < jws.length; at += 37) {
    const other = jws[at] === 'A' ? 'B' : 'A'
    const altered = `${jws.slice(0, at)}${other}${jws.slice(at + 1)}`
    await expect(report(altered), `byte ${at}`).rejects.toMatchObject({
      code: expect.stringMatching(/^(signature_invalid|validation_failed)$/),
    })
  }
  expect(await books(session)).toEqual(before)
})

test('a receipt out of order is refused with its own code', async () => {
  const { session, work } = await startRun()
  const before = await books(session)
  const skipped = node.sign(node.receiptFor(work, 120, { sequence: 2 }))
  await expect(report(skipped)).rejects.toMatchObject({ code: 'receipt_out_of_order' })
  const unchained = node.sign(node.receiptFor(work, 120, { previous: sha256Hex('elsewhere') }))
  await expect(report(unchained)).rejects.toMatchObject({ code: 'receipt_out_of_order' })
  expect(await books(session)).toEqual(before)
})

test('a receipt of another node is refused, even for a run it knows all about', async () => {
  const { session, work } = await startRun()
  const before = await books(session)
  const stranger = await startScriptedNode(stack)
  const asItself = stranger.sign({ ...node.receiptFor(work, 120), providerId: stranger.providerId })
  await expect(report(asItself)).rejects.toMatchObject({ code: 'receipt_mismatch' })
  const asTheOther = stranger.sign(node.receiptFor(work, 120))
  await expect(report(asTheOther)).rejects.toMatchObject({ code: 'signature_invalid' })
  expect(await books(session)).toEqual(before)
  stranger.close()
})

const lies: [string, Partial<Receipt>][] = [
  ['grant', { grant: 9 }],
  ['hold', { holdMicros: micros(900_000n) }],
  ['deadline', { deadlineMs: 59_000 }],
  [
    'rate',
    {
      rateMicrosPerMinute: micros(6_000_000n),
      costMicros: micros(12_000n),
      cumulativeMicros: micros(12_000n),
    },
  ],
  ['tool', { tool: 'another' }],
  ['manifest', { manifestHash: sha256Hex('another') }],
  ['cost', { costMicros: micros(5_000n), cumulativeMicros: micros(5_000n) }],
  ['cumulative', { cumulativeMicros: micros(9_999n) }],
]

test.each(lies)(
  'a receipt that lies about its %s is refused and the ledger is untouched',
  async (_field, changes) => {
    const { session, work } = await startRun()
    const before = await books(session)
    await expect(report(node.sign(node.receiptFor(work, 120, changes)))).rejects.toMatchObject({
      code: 'receipt_mismatch',
    })
    expect(await books(session)).toEqual(before)
  },
)

test('a receipt with a longer time than the coordinator saw is a dispute: shown, unpaid, and the session ends', async () => {
  const { session, run, work } = await startRun()
  const before = await books(session)
  const inflated = node.sign(node.receiptFor(work, 29_000))
  await expect(report(inflated)).rejects.toMatchObject({ code: 'receipt_disputed' })
  expect(await books(session)).toEqual(before)
  await expect(run.wait()).rejects.toMatchObject({
    code: 'receipt_disputed',
    facts: { dispute: 'implausible_duration' },
  })
  expect((await session.state()).status).toBe('ending')
  await expect(report(inflated)).rejects.toMatchObject({ code: 'receipt_disputed' })
  expect((await node.waitFor('endSession', (message) => message.sessionId === session.id)).type).toBe(
    'endSession',
  )
})

test('the metering report lists every receipt with its countersignature, and its sum is what was charged', async () => {
  const { session, run, work } = await startRun()
  await node.finish(work, 200)
  await run.wait()
  const metering = await agent.orien.call(getMetering, { query: { sessionId: session.id, limit: 20 } })
  expect(metering.consumedMicros).toBe(2_000n)
  expect(metering.items.reduce((sum, item) => sum + item.costMicros, 0n)).toBe(metering.consumedMicros)
  expect(metering.items[0]).toMatchObject({ sequence: 1, effectiveMs: 200 })
  expect(metering.items[0]).not.toHaveProperty('readBytes')
})

test('a late receipt of a run whose lease is over is recorded and paid', async () => {
  const { session, work } = await startRun()
  await endLease(pool, '1 second', work.executionId)
  for await (const message of session.events()) {
    if (message.kind === 'event' && message.event.type === 'execution.failed') break
  }
  expect(await books(session)).toMatchObject({ spent_micros: 0n, held_micros: 0n })
  expect((await report(node.sign(node.receiptFor(work, 100)))).results[0]?.accepted).toBe(true)
  expect(await books(session)).toMatchObject({ spent_micros: 1_000n, held_micros: 0n })
})

/** Ends the lease of a run now, and resolves when its hold is released. */
async function expireLease(session: Session, executionId: string) {
  await endLease(pool, '1 second', executionId)
  const look = async () => {
    const { rows } = await pool.query('select hold_status from executions where id = $1', [executionId])
    expect(rows[0].hold_status, session.id).toBe('expired')
  }
  await vi.waitFor(look, { timeout: 30_000, interval: 20 })
}

test('a lease stands still while no coordinator could take a receipt, also one that only lost its database', async () => {
  const { work } = await startRun()
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(`select 1 from facts where name = 'alive' for update`)
    await vi.waitFor(async () => {
      const { rows } = await pool.query(
        `select 1 from pg_locks where not granted and locktype = 'transactionid'`,
      )
      expect(rows, 'the next sweep waits').toHaveLength(1)
    })
    // As after an outage of ten minutes: nobody has said that receipts can be taken, and the lease is over by now.
    await client.query(`update facts set at = now() - interval '10 minutes' where name = 'alive'`)
    await endLease(client, '5 minutes', work.executionId)
    await client.query('commit')
  } finally {
    client.release()
  }
  await vi.waitFor(async () => {
    const { rows } = await pool.query(
      `select at > now() - interval '1 minute' as is_back from facts where name = 'alive'`,
    )
    expect(rows[0].is_back).toBe(true)
  })
  const { rows } = await pool.query(
    `select hold_status, lease_until > now() + interval '4 minutes' as has_time from executions where id = $1`,
    [work.executionId],
  )
  expect(rows).toEqual([{ hold_status: 'open', has_time: true }])
})

test('a late receipt that a later run’s hold leaves no cover for waits, and is paid when that run is over', async () => {
  const { session, run, work } = await startRun()
  await expireLease(session, work.executionId)
  expect(await run.wait()).toMatchObject({ reason: 'lost' })
  // The voucher of the next run covers that run alone: nobody knows of the late receipt.
  const next = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(300_000n) })
  const late = node.sign(node.receiptFor(work, 100))
  const before = await books(session)
  await expect(report(late)).rejects.toMatchObject({ code: 'receipt_deferred' })
  expect(await books(session)).toEqual(before)
  await expireLease(session, next.id)
  expect((await report(late)).results[0]?.accepted).toBe(true)
  expect(await books(session)).toMatchObject({ spent_micros: 1_000n, held_micros: 0n })
})

test('a receipt that comes after its provider signed the close is shown as unpaid, and the session is settled', async () => {
  const { session, work } = await startRun()
  await expireLease(session, work.executionId)
  await session.end()
  await session.settled()
  const before = await books(session)
  await expect(report(node.sign(node.receiptFor(work, 100)))).rejects.toMatchObject({
    code: 'receipt_disputed',
  })
  expect(await books(session)).toEqual(before)
  const drifts = await auditLedger(pool)
  expect(drifts.filter(({ violations }) => violations > 0)).toEqual([])
})
