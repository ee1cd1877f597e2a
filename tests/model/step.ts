import { jwsHash, micros, OrienError, splitCumulative } from '@orien/protocol'
import { expect } from 'vitest'
import { cancelExecution } from '../../apps/coordinator/src/execution/cancel.ts'
import { startExecution } from '../../apps/coordinator/src/execution/store.ts'
import { submitExecution } from '../../apps/coordinator/src/execution/submit.ts'
import { createPatience } from '../../apps/coordinator/src/jobs/patience.ts'
import { sweep } from '../../apps/coordinator/src/jobs/sweep.ts'
import { recordReceipt } from '../../apps/coordinator/src/metering/record.ts'
import { endSession } from '../../apps/coordinator/src/session/end.ts'
import { topUpSession } from '../../apps/coordinator/src/session/topUp.ts'
import { acceptVoucher } from '../../apps/coordinator/src/session/voucher.ts'
import { collectClaims } from '../../apps/coordinator/src/settlement/claim.ts'
import { createClaimDesk } from '../../apps/coordinator/src/settlement/claimDesk.ts'
import { applyFailure, applySuccess } from '../../apps/coordinator/src/settlement/effects.ts'
import { moveTransaction } from '../../apps/coordinator/src/settlement/store.ts'
import { amountOf, capOf } from './choices.ts'
import type { Effort, Lie, Operation } from './operations.ts'
import { signVoucher, TOOLS, topUpOf } from './parties.ts'
import { oldestPlanned } from './planned.ts'
import type { Receipt, Run } from './reference.ts'
import * as reference from './reference.ts'
import * as referenceChain from './referenceChain.ts'
import type { Replica } from './replica.ts'
import { extendAll, tick } from './steps.ts'
import {
  onceFor,
  type Place,
  startPlace,
  termsOf,
  type World,
  type WrittenReceipt,
  writeReceipt,
} from './world.ts'

/** What a history has come to. */
export type Scene = {
  world: World
  replica: Replica
  places: readonly Place[]
  nowMs: number
  tools: Map<string, string>
  receipts: Map<string, WrittenReceipt>
}

type Of<T extends Operation['do']> = Extract<Operation, { do: T }>

/** The outcome of a verb in the model's words. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    if (error instanceof OrienError) return error.code
    throw error
  }
}

const placeOf = (scene: Scene, turn: number) => scene.places[turn % scene.places.length] as Place

/** Mostly a run that is still open; now and then any. */
function runOf(place: Place, turn: number): Run | undefined {
  const open = reference.openRuns(place.model)
  const runs = turn < 5 && open.length > 0 ? open : [...place.model.runs.values()]
  return runs[turn % runs.length]
}

/** What the cheapest sufficient voucher would be: asks a copy of the model without one. */
function neededFor(place: Place, ask: reference.Submission, nowMs: number): bigint {
  const { model } = place
  const nothingAuthorised = { ...structuredClone(model), authorisedMicros: -1n }
  const answer = reference.submit(nothingAuthorised, { ...ask, key: 'trial' }, nowMs)
  return answer.is === 'refused' ? (answer.requiredMicros ?? model.spentMicros + model.heldMicros) : 0n
}

async function submit(scene: Scene, op: Of<'submit'>): Promise<void> {
  const place = placeOf(scene, op.session)
  const { model, agent, provider } = place
  const tool = TOOLS[op.tool] ?? TOOLS[0]
  const maxCostMicros = capOf(op.cap, provider.rate)
  const [key, limitMs] = [`key ${op.key}`, tool.limits.timeMs]
  const body = `${op.tool} ${op.note} ${maxCostMicros}`
  const ask = { key, body, execution: 'trial', limitMs, maxCostMicros }
  const voucherMicros = amountOf(op.voucher, place, neededFor(place, ask, scene.nowMs))
  const view = submitExecution(scene.replica.ctx, scene.replica.submitter, agent.caller, {
    sessionId: model.id,
    key,
    body: {
      tool: tool.id,
      args: op.note ? { note: op.note } : {},
      ...(maxCostMicros === undefined ? {} : { maxCostMicros: micros(maxCostMicros) }),
      ...(voucherMicros === undefined ? {} : { voucher: signVoucher(termsOf(place), agent, voucherMicros) }),
    } as never,
  })
  const execution = await view.then(
    ({ execution }) => execution.id,
    () => 'none',
  )
  const answer = reference.submit(model, { ...ask, execution, voucherMicros }, scene.nowMs)
  if (answer.is === 'accepted') {
    expect((await view).execution.id).toBe(answer.execution)
    scene.tools.set(answer.execution, tool.id)
    return
  }
  const error = await view.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  expect(error).toMatchObject({ code: answer.code })
  const facts = error instanceof OrienError ? error.facts : {}
  if (answer.requiredMicros !== undefined)
    expect(facts.requiredCumulativeMicros).toBe(`${answer.requiredMicros}`)
}

async function voucher(scene: Scene, op: Of<'voucher'>): Promise<void> {
  const place = placeOf(scene, op.session)
  const { ctx } = scene.replica
  const amountMicros =
    amountOf(
      op.amount,
      place,
      place.model.spentMicros + place.model.heldMicros + (place.model.stepMicros ?? 1n),
    ) ?? 0n
  const signed = signVoucher(termsOf(place), place.agent, amountMicros)
  const expected = reference.voucher(place.model, amountMicros)
  const work = op.isStreamed
    ? scene.replica.accruer.accrue(place.agent.caller, place.model.id, signed)
    : ctx.db.write((unit) => acceptVoucher(ctx, unit, place.agent.caller, place.model.id, signed))
  expect(await outcomeOf(work)).toBe(expected)
  await extendAll(scene.replica, place)
}

async function topUp(scene: Scene, op: Of<'topUp'>): Promise<void> {
  const place = placeOf(scene, op.session)
  const { ctx } = scene.replica
  const asked = topUpOf(termsOf(place), place.agent, op.amount, op.salt)
  const room =
    (1n << 63n) - 1n - place.model.planned.reduce((sum, { amountMicros }) => sum + amountMicros, 0n)
  // No token has that much: a wallet could not sign for it.
  if (place.model.budgetMicros + op.amount > room) return
  const body = { amount: `${op.amount}`, salt: op.salt }
  const work = onceFor(
    scene.replica,
    place,
    { key: `top-up ${op.amount} ${op.salt}`, operation: 'topUp', body },
    (unit) => topUpSession(ctx, unit, place.agent.caller, place.model.id, asked),
  )
  expect(await outcomeOf(work)).toBe(reference.topUp(place.model, op.amount, asked.deposit.nonce))
}

/** Receipt figures as an honest node would sign them, or with one lie. */
function receiptOf(scene: Scene, place: Place, run: Run, { effort, lie }: Of<'receipt'>): WrittenReceipt {
  const { model, provider } = place
  const grant = (lie === 'earlier' && run.earlier.at(-1)) || run
  const effectiveMs = Math.min(grant.deadlineMs, durationOf(scene, run, effort, lie))
  const isRejected = effort === 'rejected' && effectiveMs === 0
  const price = isRejected ? 0n : (provider.rate * BigInt(effectiveMs) + 59_999n) / 60_000n
  const costMicros = price + (lie === 'cost' ? 1n : 0n)
  const sum = model.spentMicros + costMicros
  const isWrongSum = lie === 'cumulative' || sum >= 1n << 63n
  const said = {
    sequence: model.receipts + (lie === 'sequence' ? 2 : 1),
    previous:
      lie === 'previous' ? model.head.replace(/^./, (first) => (first === '0' ? '1' : '0')) : model.head,
    status: isRejected ? ('failed' as const) : ('completed' as const),
    reason: isRejected ? 'rejected' : null,
    holdMicros: grant.holdMicros + (lie === 'hold' ? 1n : 0n),
    deadlineMs: grant.deadlineMs,
    effectiveMs,
    costMicros,
    cumulativeMicros: isWrongSum ? (sum > 0n ? sum - 1n : 1n) : sum,
  }
  const jws = writeReceipt(place, run, scene.tools.get(run.id) ?? '', said)
  return { said: { ...said, hash: jwsHash(jws), observedMs: 0, wasStarted: false }, jws }
}

/** How long the node says that it ran: as long as it did, at most what is believed, or what nobody can believe. */
function durationOf(scene: Scene, run: Run, effort: Effort, lie: Lie): number {
  if (lie === 'impossible') return run.deadlineMs
  if (lie === 'slow') {
    const observedMs = Math.round(scene.replica.ctx.dispatcher.observedMs(run.id) ?? 0)
    return Math.min(run.deadlineMs, Math.floor(observedMs + 250 + (observedMs * 10) / 1_000))
  }
  return { rejected: 0, nothing: 0, one: 1, half: Math.floor(run.deadlineMs / 2), all: run.deadlineMs }[
    effort
  ]
}

async function receipt(scene: Scene, op: Of<'receipt'>): Promise<void> {
  const place = placeOf(scene, op.session)
  const run = runOf(place, op.run)
  if (run) await report(scene, place, run, op)
}

async function report(scene: Scene, place: Place, run: Run, op: Of<'receipt'>): Promise<void> {
  const earlier = op.lie === 'again' ? scene.receipts.get(run.id) : undefined
  const written = earlier ?? receiptOf(scene, place, run, op)
  const isPatient = op.lie !== 'slow' && op.lie !== 'impossible'
  if (isPatient) await pass(scene, written.said.effectiveMs)
  const observed = scene.replica.ctx.dispatcher.observedMs(run.id)
  // After a restart only the database remembers when a run began, to within what this test itself takes.
  const observedMs = observed === null ? await ageOf(scene, run) : Math.round(observed)
  const said: Receipt = { ...written.said, observedMs, wasStarted: op.wasStarted }
  if (observed === null && isNearLimit(said)) return
  scene.receipts.set(run.id, written)
  const { ctx, recorder } = scene.replica
  const arrival = { wasStarted: op.wasStarted, onSessionOver: () => {} }
  const answer = await recordReceipt(ctx, recorder, written.jws, arrival)
  const expected = reference.record(place.model, run, said)
  // What follows from a receipt has a transaction of its own.
  if (run.isDisputed) reference.end(place.model, 'dispute')
  reference.complete(place.model)
  expect(answer.accepted ? 'accepted' : answer.code).toBe(expected)
}

async function ageOf(scene: Scene, run: Run): Promise<number> {
  const { rows } = await scene.world.pool.query<{ age: string }>(
    `select extract(epoch from clock_timestamp() - created_at) * 1000 as age from executions where id = $1`,
    [run.id],
  )
  return Math.round(Number(rows[0]?.age))
}

const GREY_MS = 20_000
const isNearLimit = ({ effectiveMs, observedMs }: Receipt) =>
  Math.abs(effectiveMs - observedMs * 1.01 - 250) < GREY_MS && effectiveMs > observedMs + 200

/** Time that passes for coordinator and database alike, and never stops where a lease is neither over nor not. */
async function pass(scene: Scene, ms: number): Promise<void> {
  const leases = scene.places.flatMap(({ model }) => reference.openRuns(model).map((run) => run.leaseUntilMs))
  let untilMs = scene.nowMs + ms
  for (const lease of leases.sort((a, b) => a - b))
    if (lease >= untilMs && lease <= untilMs + GREY_MS) untilMs = lease + 1
  const by = untilMs - scene.nowMs
  scene.nowMs = untilMs
  scene.world.clock.advance(by)
  await scene.world.pool.query(
    `with older as (update executions set created_at = created_at - make_interval(secs => $1),
        lease_until = lease_until - make_interval(secs => $1))
      update sessions set leases_from = leases_from - make_interval(secs => $1)`,
    [by / 1_000],
  )
}

async function lease(scene: Scene, { session, run: turn, isOver }: Of<'lease'>): Promise<void> {
  const run = runOf(placeOf(scene, session), turn)
  if (run?.hold !== 'open') return
  const untilMs = isOver ? run.leaseUntilMs + 1 : run.leaseUntilMs - 2 * GREY_MS
  if (untilMs > scene.nowMs) await pass(scene, untilMs - scene.nowMs)
}

/** The node comes back after the lease of a run, while a later run is under way. */
async function late(scene: Scene, { session, run: turn, key }: Of<'late'>): Promise<void> {
  const place = placeOf(scene, session)
  const run = runOf(place, turn)
  if (!run) return
  await lease(scene, { do: 'lease', session, run: turn, isOver: true })
  await sweepAll(scene)
  await submit(scene, { do: 'submit', session, key, tool: 1, note: '', cap: 'none', voucher: 'needed' })
  await report(scene, place, run, {
    do: 'receipt',
    session,
    run: turn,
    effort: 'one',
    lie: 'none',
    wasStarted: false,
  })
}

/** A node says that a run took the minute that it might have taken, before a second is over. */
async function inflate(scene: Scene, { session, key }: Of<'inflate'>): Promise<void> {
  const place = placeOf(scene, session)
  await submit(scene, { do: 'submit', session, key, tool: 2, note: '', cap: 'none', voucher: 'needed' })
  const run = [...place.model.runs.values()].at(-1)
  const op = { do: 'receipt', session, run: 0, effort: 'all', lie: 'impossible', wasStarted: false } as const
  if (run) await report(scene, place, run, op)
}

/** A long run is asked for its next step, and what the agent answers is followed by another look. */
async function stretch(scene: Scene, { session, key, amount, used, knows }: Of<'stretch'>): Promise<void> {
  const place = placeOf(scene, session)
  await submit(scene, { do: 'submit', session, key, tool: 2, note: '', cap: 'none', voucher: 'needed' })
  const run = [...place.model.runs.values()].at(-1)
  if (!run) return
  const said = { do: 'tick', session, run: 0, used: 'half', knows: 'present' } as const
  await tick(scene.replica, place, run, said)
  await voucher(scene, { do: 'voucher', session, amount, isStreamed: false })
  await tick(scene.replica, place, run, { ...said, used, knows })
}

async function sweepAll(scene: Scene): Promise<void> {
  const { ctx } = scene.replica
  await sweep(ctx, { upMs: 0, patience: createPatience(ctx.clock), isIdleDue: false })
  for (const { model } of scene.places) {
    const over = reference.openRuns(model).filter((run) => run.leaseUntilMs <= scene.nowMs)
    for (const run of over.sort((a, b) => (a.id < b.id ? -1 : 1))) reference.expire(model, run)
    reference.complete(model)
  }
}

/** The chain decides the oldest transaction of a session: by what the channel holds, not by what the ledger says. */
async function chain(scene: Scene, op: Of<'chain'>): Promise<void> {
  const { ctx } = scene.replica
  const place = placeOf(scene, op.session)
  const row = await oldestPlanned(ctx, place.model.id)
  expect(row?.kind).toBe(place.model.planned[0]?.kind)
  if (!row) return
  const { amountMicros } = row
  const deposited = scene.places.reduce((sum, { model }) => sum + model.depositMicros, 0n)
  // All deposits together fit one account: no token has more than that.
  const isSuccess = op.isSuccess && (row.kind === 'close' || deposited + amountMicros < 1n << 63n)
  const shares = splitCumulative(micros(amountMicros))
  const closed =
    row.kind === 'close' ? { ...shares, refundMicros: place.model.depositMicros - amountMicros } : null
  await ctx.db.write(async (unit) => {
    await moveTransaction(unit.tx, row, { status: isSuccess ? 'final' : 'failed' })
    if (isSuccess) await applySuccess(ctx, unit, row, closed)
    else await applyFailure(ctx, unit, row)
  })
  if (isSuccess) referenceChain.finalise(place.model)
  else referenceChain.fail(place.model, scene.nowMs)
  // The verb sends what waited for the deposit without waiting for it; here it has to be over.
  await ctx.dispatcher.send({ sessionId: place.model.id })
}

async function cancel(scene: Scene, op: Of<'cancel'>): Promise<void> {
  const place = placeOf(scene, op.session)
  const run = runOf(place, op.run)
  if (!run) return
  const isOver = run.status === 'completed' || run.status === 'failed'
  const work = cancelExecution(scene.replica.ctx, place.agent.caller, run.id as never)
  expect(await outcomeOf(work)).toBe(isOver ? 'execution_finished' : 'ok')
  run.isCancelled ||= !isOver
}

/** Carries one operation out on both sides and compares what they answer. */
export async function step(scene: Scene, op: Operation): Promise<void> {
  const { ctx } = scene.replica
  switch (op.do) {
    case 'submit':
      return submit(scene, op)
    case 'voucher':
      return voucher(scene, op)
    case 'topUp':
      return topUp(scene, op)
    case 'receipt':
      return receipt(scene, op)
    case 'pass':
      return pass(scene, op.ms)
    case 'lease':
      return lease(scene, op)
    case 'late':
      return late(scene, op)
    case 'inflate':
      return inflate(scene, op)
    case 'stretch':
      return stretch(scene, op)
    case 'sweep':
      return sweepAll(scene)
    case 'chain':
      return chain(scene, op)
    case 'cancel':
      return cancel(scene, op)
    case 'start': {
      const place = placeOf(scene, op.session)
      const isPossible = place.model.status === 'pending' || place.model.status === 'active'
      expect(await outcomeOf(startPlace(scene.replica, place))).toBe(isPossible ? 'ok' : 'illegal_transition')
      return reference.start(place.model)
    }
    case 'started': {
      const place = placeOf(scene, op.session)
      const run = runOf(place, op.run)
      if (!run) return
      await startExecution(scene.world.pool, place.provider.id, run.id)
      return reference.started(place.model, run)
    }
    case 'tick': {
      const place = placeOf(scene, op.session)
      const run = runOf(place, op.run)
      return run && tick(scene.replica, place, run, op)
    }
    case 'end': {
      const { model, agent } = placeOf(scene, op.session)
      const work = ctx.db.write((unit) => endSession(ctx, unit, agent.caller, model.id))
      expect(await outcomeOf(work)).toBe(reference.end(model, 'requested'))
      return
    }
    case 'claim':
      await collectClaims(ctx, createClaimDesk(ctx.clock))
      for (const { model } of scene.places) referenceChain.claim(model)
      return
    case 'restart':
      scene.replica = scene.world.replica()
  }
}
