import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { auditLedger, createPool } from '@orien/coordinator'
import {
  actOnSession,
  cancelExecution,
  type Dispatch,
  execute,
  micros,
  type SessionEventRecord,
} from '@orien/protocol'
import { Orien, type Session, verifyBillText } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../apps/coordinator/src/clock.ts'
import { deriveSessionKey } from '../../packages/sdk/src/session/sessionKey.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let pool: ReturnType<typeof createPool>

/** How far the coordinator's clock is ahead: runs last as long as the test says, and nobody waits for them. */
let aheadMs = 0
const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs }

beforeAll(async () => {
  stack = await startStack({}, undefined, { clock })
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 50_000_000n)
  pool = createPool({ url: stack.database.url, connections: 2 })
})
afterAll(async () => {
  expect((await auditLedger(pool)).filter(({ violations }) => violations > 0)).toEqual([])
  await pool.end()
  await stack.stop()
})

/** Two seconds at 10 micro-USDC a millisecond. */
const STEP = micros(20_000n)
const STEP_MS = 2_000

const open = (orien: Orien = agent.orien, stepMicros = STEP) =>
  orien.openSession({ providerId: node.providerId, budgetMicros: micros(1_000_000n), stepMicros })

/** The node says how far a run is, and which grant it knows of. */
const tick = ({ executionId }: Dispatch, effectiveMs: number, deadlineMs: number) =>
  node.send({ type: 'meter', executionId, effectiveMs, deadlineMs })

const extensionOf = async ({ executionId }: Dispatch, deadlineMs: number) => {
  const isIt = ({ extension }: { extension: { executionId: string; deadlineMs: number } }) =>
    extension.executionId === executionId && extension.deadlineMs === deadlineMs
  return (await node.waitFor('extend', isIt)).extension
}

async function eventsOf(session: Session): Promise<Pick<SessionEventRecord, 'type' | 'data'>[]> {
  const { rows } = await pool.query('select type, data from events where session_id = $1 order by sequence', [
    session.id,
  ])
  return rows
}

/** What the database knows of a run. */
async function rowOf({ executionId }: Dispatch) {
  const { rows } = await pool.query(
    `select hold_micros, deadline_ms, extract(epoch from lease_until - created_at)::int as lease_s
       from executions where id = $1`,
    [executionId],
  )
  return rows[0]
}

/** The node's receipt, when the run has taken as long as it says. */
const finish: ScriptedNode['finish'] = (work, effectiveMs, ...rest) => {
  aheadMs += effectiveMs
  return node.finish(work, effectiveMs, ...rest)
}

/** A session whose vouchers the test signs, or does not. */
async function openByHand(maxCostMicros = micros(600_000n)) {
  const session = await open()
  const view = await new Orien({ baseUrl: stack.url, account: agent.account }).call(execute, {
    params: { id: session.id },
    body: { tool: 'block', args: {}, maxCostMicros, voucher: await voucherOf(session, STEP) },
  })
  const work = await node.dispatchOf(view.id)
  return { session, work }
}

/** Signed by the session's key, as it is derived from the wallet. */
async function voucherOf(session: Session, cumulative: bigint) {
  const { channel } = await session.state()
  if (!channel) throw new TypeError('the session has no channel')
  return (await deriveSessionKey(agent.account, session.id)).signVoucher(channel, micros(cumulative))
}

const handIn = async (session: Session, cumulative: bigint) =>
  agent.orien.call(actOnSession, {
    params: { id: session.id },
    body: { action: 'voucher', voucher: await voucherOf(session, cumulative) },
  })

const asked = async (session: Session) =>
  (await eventsOf(session)).filter(({ type }) => type === 'voucher.requested').map(({ data }) => data)

test('a long run is granted one step, asked for the next at its half, and goes on when the SDK has signed', async () => {
  const session = await open()
  const run = await session.execute({ tool: 'block', args: {} })
  expect(run.view).toMatchObject({ holdMicros: STEP, deadlineMs: STEP_MS, mostMicros: 600_000n })
  const work = await node.dispatchOf(run.id)
  expect(work).toMatchObject({ holdMicros: STEP, deadlineMs: STEP_MS, mostMicros: 600_000n })
  expect(work.voucher.cumulativeMicros).toBe(STEP)
  tick(work, 999, STEP_MS)
  tick(work, 1_000, STEP_MS)
  const second = await extensionOf(work, 2 * STEP_MS)
  expect(second).toMatchObject({ holdMicros: 2n * STEP, voucher: { cumulativeMicros: 2n * STEP } })
  tick(work, 2_999, 2 * STEP_MS)
  tick(work, 3_000, 2 * STEP_MS)
  await extensionOf(work, 3 * STEP_MS)
  expect((await session.state()).heldMicros).toBe(3n * STEP)
  expect((await rowOf(work)).lease_s).toBe(900 + 6)
  const raised = { holdMicros: micros(3n * STEP), deadlineMs: 3 * STEP_MS }
  expect(await finish(work, 5_000, raised)).toMatchObject({ type: 'receiptAck' })
  expect(await run.wait()).toMatchObject({ status: 'completed', costMicros: 50_000n })
  expect(run.refusal).toBeUndefined()
  expect(await session.state()).toMatchObject({
    heldMicros: 0n,
    consumedMicros: 50_000n,
    authorisedMicros: 60_000n,
  })
  // Each step is in the sum that the last voucher authorised, and the bill says so to a stranger.
  expect(await verifyBillText(await session.bill())).toMatchObject({ verdict: 'consistent' })
  expect((await asked(session)).map(({ requiredCumulativeMicros }) => requiredCumulativeMicros)).toEqual([
    '40000',
    '60000',
  ])
})

test('a run that cannot take longer than half a minute gets one grant, whatever the step', async () => {
  const session = await open()
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(300_000n) })
  expect(run.view).toMatchObject({ holdMicros: 300_000n, deadlineMs: 30_000 })
  expect(run.view.mostMicros).toBeUndefined()
})

test('a step that is over before anybody could have answered is refused', async () => {
  await expect(open(agent.orien, micros(STEP - 1n))).rejects.toMatchObject({ code: 'validation_failed' })
})

test('half of a grant is asked for once, however often the node ticks', async () => {
  const { session, work } = await openByHand()
  for (let ms = 1_000; ms < 1_040; ms += 1) tick(work, ms, STEP_MS)
  await expect.poll(() => asked(session)).toHaveLength(1)
  await handIn(session, 2n * STEP)
  await extensionOf(work, 2 * STEP_MS)
  expect(await asked(session)).toEqual([
    {
      executionId: work.executionId,
      requiredCumulativeMicros: '40000',
      holdMicros: '40000',
      deadlineMs: 4_000,
    },
  ])
})

test('without an answer the run ends at its grant, is paid up to there and nothing more', async () => {
  const { session, work } = await openByHand()
  tick(work, 1_000, STEP_MS)
  const end = { status: 'failed', reason: 'authorization_expired', exitCode: null } as const
  expect(await finish(work, STEP_MS, end)).toMatchObject({ type: 'receiptAck' })
  expect(await session.state()).toMatchObject({ consumedMicros: STEP, heldMicros: 0n })
  // A voucher after the end authorises, and extends nothing.
  await handIn(session, 2n * STEP)
  expect(await rowOf(work)).toMatchObject({ hold_micros: STEP })
})

test('a lower voucher, or one that is too low for the step, extends nothing', async () => {
  const { session, work } = await openByHand()
  tick(work, 1_000, STEP_MS)
  for (const cumulative of [STEP - 1n, STEP, 2n * STEP - 1n]) {
    await handIn(session, cumulative)
    expect(await rowOf(work)).toMatchObject({ hold_micros: STEP, deadline_ms: STEP_MS })
  }
  await handIn(session, 2n * STEP)
  expect(await extensionOf(work, 2 * STEP_MS)).toMatchObject({ holdMicros: 2n * STEP })
})

test('a node that was not told of the raised grant is told again, and not of a further one', async () => {
  const { session, work } = await openByHand()
  await handIn(session, 600_000n)
  tick(work, 1_000, STEP_MS)
  await extensionOf(work, 2 * STEP_MS)
  const before = await eventsOf(session)
  const said = () =>
    node.received('extend').filter(({ extension }) => extension.executionId === work.executionId)
  const times = said().length
  for (const ms of [1_100, 1_200, 1_900]) tick(work, ms, STEP_MS)
  tick(work, 1_950, 2 * STEP_MS)
  await node.until(() => (said().length >= times + 3 ? true : undefined))
  expect(new Set(said().map(({ extension }) => extension.deadlineMs))).toEqual(new Set([2 * STEP_MS]))
  expect(await eventsOf(session)).toEqual(before)
})

test('a node that stopped on the grant before the raised one is paid by what it knew', async () => {
  const { session, work } = await openByHand()
  await handIn(session, 600_000n)
  tick(work, 1_000, STEP_MS)
  await extensionOf(work, 2 * STEP_MS)
  const end = { status: 'failed', reason: 'authorization_expired', exitCode: null } as const
  expect(await finish(work, STEP_MS, end)).toMatchObject({ type: 'receiptAck' })
  expect(await session.state()).toMatchObject({ consumedMicros: STEP, heldMicros: 0n })
})

test('a receipt on a grant that never was is refused', async () => {
  const { work } = await openByHand()
  const never = { holdMicros: micros(2n * STEP), deadlineMs: 2 * STEP_MS }
  expect(await finish(work, 3_000, never)).toMatchObject({ type: 'receiptRefused', code: 'receipt_mismatch' })
})

test('a run that was cancelled is given no further step, whatever is authorised', async () => {
  const { session, work } = await openByHand()
  tick(work, 1_000, STEP_MS)
  await expect.poll(async () => (await asked(session)).length).toBe(1)
  await agent.orien.call(cancelExecution, { params: { id: work.executionId } })
  await handIn(session, 2n * STEP)
  tick(work, 1_500, STEP_MS)
  const end = { status: 'failed', reason: 'cancelled', exitCode: null } as const
  expect(await finish(work, 1_500, end)).toMatchObject({ type: 'receiptAck' })
  expect(await rowOf(work)).toMatchObject({ hold_micros: STEP, deadline_ms: STEP_MS })
  expect((await eventsOf(session)).map(({ type }) => type)).not.toContain('execution.extended')
})

test('a run is extended up to what it may cost and its tool may take, and asks for no more', async () => {
  const { session, work } = await openByHand(micros(310_000n))
  await handIn(session, 1_000_000n)
  let deadlineMs = STEP_MS
  while (deadlineMs < 31_000) {
    tick(work, deadlineMs - 500, deadlineMs)
    deadlineMs = Math.min(deadlineMs + STEP_MS, 31_000)
    await extensionOf(work, deadlineMs)
  }
  const before = await eventsOf(session)
  tick(work, 30_999, 31_000)
  const raised = { holdMicros: micros(310_000n), deadlineMs: 31_000 }
  const end = { ...raised, status: 'failed', reason: 'budget_exhausted', exitCode: null } as const
  expect(await finish(work, 31_000, end)).toMatchObject({ type: 'receiptAck' })
  expect((await eventsOf(session)).slice(before.length).map(({ type }) => type)).toEqual(['execution.failed'])
  expect((await session.state()).consumedMicros).toBe(310_000n)
})

test('one voucher is held by one run: of two that wait for a step, it extends one', async () => {
  const session = await open()
  const runs = [await session.execute({ tool: 'block' }), await session.execute({ tool: 'block' })]
  const [first, second] = await Promise.all(runs.map(({ id }) => node.dispatchOf(id)))
  if (!first || !second) throw new TypeError('two runs')
  // The SDK answers each: both steps are signed for, one after the other, and never one voucher for both.
  tick(first, 1_000, STEP_MS)
  tick(second, 1_000, STEP_MS)
  await Promise.all([extensionOf(first, 2 * STEP_MS), extensionOf(second, 2 * STEP_MS)])
  const { heldMicros, authorisedMicros } = await session.state()
  expect(heldMicros).toBe(4n * STEP)
  expect(authorisedMicros).toBe(4n * STEP)
})

test('a policy says no: nothing is signed, and the reason is at hand', async () => {
  const policy = { maxPerSessionMicros: micros(1_000_000n) }
  const careful = new Orien({ baseUrl: stack.url, account: agent.account, policy })
  const session = await open(careful)
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(305_000n) })
  const work = await node.dispatchOf(run.id)
  // A coordinator that asks for more than the call may cost.
  await pool.query('update executions set most_micros = 600000, hold_micros = 300000 where id = $1', [run.id])
  await pool.query('update sessions set held_micros = 300000, authorised_micros = 300000 where id = $1', [
    session.id,
  ])
  tick(work, STEP_MS - 1, STEP_MS)
  await expect.poll(() => run.refusal).toMatchObject({ code: 'spend_cap_exceeded' })
  expect((await session.state()).authorisedMicros).toBe(300_000n)
})

test('an agent that is killed in the middle of a run goes on with its session when it is started again', async () => {
  const file = fileURLToPath(new URL('agentProgram.ts', import.meta.url))
  const start = () => {
    const child = spawn(process.execPath, [file, stack.url, agent.privateKey, node.providerId, String(STEP)])
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async () => JSON.parse((await lines.next()).value ?? '{}')
    return { child, next }
  }
  const first = start()
  const { sessionId, executionId } = await first.next()
  const work = await node.dispatchOf(executionId)
  tick(work, 1_000, STEP_MS)
  await extensionOf(work, 2 * STEP_MS)
  const gone = once(first.child, 'exit')
  first.child.kill('SIGKILL')
  await gone
  // Asked for while nobody is there to answer.
  tick(work, 3_000, 2 * STEP_MS)
  const second = start()
  expect(await second.next()).toEqual({ sessionId, executionId })
  await extensionOf(work, 3 * STEP_MS)
  const raised = { holdMicros: micros(3n * STEP), deadlineMs: 3 * STEP_MS }
  expect(await finish(work, 5_500, raised)).toMatchObject({ type: 'receiptAck' })
  expect(await second.next()).toEqual({ status: 'completed', costMicros: '55000' })
  expect(node.dispatches.filter((other) => other.sessionId === sessionId)).toHaveLength(1)
})

test('one authorisation that is sent with 100 runs at once pays for one of them', async () => {
  const session = await open()
  const voucher = await voucherOf(session, 100_000n)
  const call = (index: number) =>
    agent.orien.call(execute, {
      params: { id: session.id },
      body: { tool: 'block', args: { note: `${index}` }, maxCostMicros: micros(100_000n), voucher },
    })
  const results = await Promise.allSettled(Array.from({ length: 100 }, (_, index) => call(index)))
  const codes = results.map((result) => (result.status === 'fulfilled' ? 'accepted' : result.reason.code))
  expect(codes.filter((code) => code === 'accepted')).toHaveLength(1)
  expect(codes.filter((code) => code === 'voucher_required')).toHaveLength(99)
  expect(await session.state()).toMatchObject({ heldMicros: 100_000n, authorisedMicros: 100_000n })
})

test('a coordinator that was restarted between request and voucher goes on with the run', async () => {
  const { session, work } = await openByHand()
  tick(work, 1_000, STEP_MS)
  await expect.poll(() => asked(session)).toHaveLength(1)
  node.close()
  await stack.restart()
  node = await node.reconnect([work.executionId])
  await handIn(session, 2n * STEP)
  tick(work, 1_500, STEP_MS)
  expect(await extensionOf(work, 2 * STEP_MS)).toMatchObject({ holdMicros: 2n * STEP })
  const raised = { holdMicros: micros(2n * STEP), deadlineMs: 2 * STEP_MS }
  expect(await finish(work, 200, raised)).toMatchObject({ type: 'receiptAck' })
})
