import { jwsHash, micros, OrienError } from '@orien/protocol'
import { expect } from 'vitest'
import { databaseFailure } from '../../apps/coordinator/src/db/failure.ts'
import { submitExecution } from '../../apps/coordinator/src/execution/submit.ts'
import { recordReceipt } from '../../apps/coordinator/src/metering/record.ts'
import { endSession } from '../../apps/coordinator/src/session/end.ts'
import { acceptVoucher } from '../../apps/coordinator/src/session/voucher.ts'
import type { Chance } from '../harness/chance.ts'
import { signVoucher, TOOLS } from './parties.ts'
import type { Receipt } from './reference.ts'
import type { Replica } from './replica.ts'
import { type Place, termsOf, writeReceipt } from './world.ts'

/** What an agent asked for under a key, every time with another voucher perhaps. */
export type Asked = {
  place: Place
  key: string
  tool: number
  maxCostMicros: bigint | undefined
  vouchers: bigint[]
}

/** An answer that somebody has seen: an execution's id, or the code of a refusal. */
type Seen = { asked: Asked; answer: string }

/** Several agents and nodes at once, over coordinators whose connections are cut. */
export type Crowd = {
  replicas: readonly Replica[]
  chance: Chance
  places: readonly Place[]
  asked: Map<string, Asked>
  seen: Seen[]
  /** By hash; with the bytes, so that it can be sent again. */
  receipts: Map<string, { said: Receipt; jws: string; executionId: string; place: Place; answer: string }>
}

const ATTEMPTS = 40

/** As a client does it: an unknown outcome is asked for again, under the same key, wherever somebody listens. */
export async function insist<T>(
  crowd: Crowd,
  work: (replica: Replica) => Promise<T>,
): Promise<T | OrienError> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(crowd.chance.pick(crowd.replicas))
    } catch (caught) {
      const error = databaseFailure(caught, 'unknown')
      if (!(error instanceof OrienError)) throw error
      // A message that is held back may hold a lock: whoever waits for it too long has done nothing.
      const isUnknown = error.code === 'database_unavailable' || error.code === 'timed_out'
      if (!isUnknown) return error
      expect(attempt).toBeLessThan(ATTEMPTS)
    }
  }
}

/** Said again, these may be answered otherwise: they decide nothing. */
const PASSING = ['voucher_required', 'rate_limited', 'voucher_invalid']

export function askFor(crowd: Crowd, asked: Asked, voucherMicros: bigint | undefined): Promise<string> {
  const { place, key, tool: turn, maxCostMicros } = asked
  const tool = TOOLS[turn] ?? TOOLS[0]
  const terms = termsOf(place)
  if (voucherMicros !== undefined) asked.vouchers.push(voucherMicros)
  const body = {
    tool: tool.id,
    args: {},
    ...(maxCostMicros === undefined ? {} : { maxCostMicros: micros(maxCostMicros) }),
    ...(voucherMicros === undefined ? {} : { voucher: signVoucher(terms, place.agent, voucherMicros) }),
  } as never
  return insist(crowd, ({ ctx, submitter }) =>
    submitExecution(ctx, submitter, place.agent.caller, { sessionId: place.model.id, key, body }),
  ).then((answer) => (answer instanceof OrienError ? answer.code : answer.execution.id))
}

/** One agent's doings: runs under keys that others use as well, vouchers, and now and then the end. */
export async function actAsAgent(crowd: Crowd, operations: number): Promise<void> {
  const { chance } = crowd
  for (let count = 0; count < operations; count += 1) {
    const place = chance.pick(crowd.places)
    const what = chance.below(20)
    if (what < 15) await submitSome(crowd, place)
    else if (what < 19) await raiseVoucher(crowd, place)
    else if (count > operations / 2)
      await insist(crowd, ({ ctx }) =>
        ctx.db.write((unit) => endSession(ctx, unit, place.agent.caller, place.model.id)),
      )
  }
}

async function submitSome(crowd: Crowd, place: Place): Promise<void> {
  const { chance } = crowd
  const key = `${place.model.id} key ${chance.below(14)}`
  // A key's first asker decides what it is for.
  const fresh: Asked = {
    ...{ place, key, tool: chance.below(2), vouchers: [] },
    maxCostMicros: chance.pick([undefined, undefined, 3_000n, 1_001n]),
  }
  const asked = crowd.asked.get(key) ?? fresh
  crowd.asked.set(key, asked)
  const voucherMicros = chance.pick([undefined, place.budgetMicros, place.budgetMicros / 2n])
  const answer = await askFor(crowd, asked, voucherMicros)
  if (!PASSING.includes(answer)) crowd.seen.push({ asked, answer })
}

async function raiseVoucher(crowd: Crowd, place: Place): Promise<void> {
  const amountMicros = crowd.chance.pick([
    place.budgetMicros / 4n,
    place.budgetMicros / 2n,
    place.budgetMicros,
  ])
  const voucher = signVoucher(termsOf(place), place.agent, amountMicros)
  await insist(crowd, ({ ctx }) =>
    ctx.db.write((unit) => acceptVoucher(ctx, unit, place.agent.caller, place.model.id, voucher)),
  )
}

/** What a node remembers of a session: its chain of receipts, and what it has signed. */
export type NodeSide = { place: Place; sequence: number; head: string; cumulative: bigint; done: Set<string> }

export function nodeSideOf(place: Place): NodeSide {
  return { place, sequence: 0, head: place.provider.offer.hash, cumulative: 0n, done: new Set() }
}

/** Signs and reports every run that it was told of, one after the other, each until there is an answer. */
export async function reportRuns(crowd: Crowd, node: NodeSide, effectiveMs: number): Promise<number> {
  const { place } = node
  const told = crowd.replicas.flatMap((replica) => replica.told)
  let reported = 0
  for (const message of told) {
    if (message.type !== 'dispatch' || message.work.sessionId !== place.model.id) continue
    const { work } = message
    if (node.done.has(work.executionId)) continue
    node.done.add(work.executionId)
    const ms = Math.min(effectiveMs, work.deadlineMs)
    const costMicros = (place.provider.rate * BigInt(ms) + 59_999n) / 60_000n
    const cumulativeMicros = node.cumulative + costMicros
    const { holdMicros, deadlineMs } = work
    const grant = { holdMicros, deadlineMs }
    const facts = { status: 'completed', reason: null, ...grant, effectiveMs: ms, costMicros } as const
    const said = { ...facts, sequence: node.sequence + 1, previous: node.head, cumulativeMicros }
    const run = { id: work.executionId, grant: work.grant }
    const jws = writeReceipt(place, run, work.tool, said)
    const hash = jwsHash(jws)
    const receipt = { ...said, hash, observedMs: ms, wasStarted: false }
    const answer = await insist(crowd, ({ ctx, recorder }) => recordReceipt(ctx, recorder, jws))
    expect(answer).toMatchObject({ accepted: true })
    const signed = answer instanceof OrienError || !answer.accepted ? '' : answer.countersignature
    crowd.receipts.set(hash, { said: receipt, jws, executionId: work.executionId, place, answer: signed })
    Object.assign(node, { sequence: said.sequence, head: hash, cumulative: cumulativeMicros })
    reported += 1
  }
  return reported
}
