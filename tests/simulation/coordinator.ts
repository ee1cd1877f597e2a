import {
  type Dispatch,
  type FromNode,
  type Id,
  invariant,
  jwsHash,
  micros,
  readReceipt,
  sha256Hex,
} from '@orien/protocol'
import {
  channelTermsOf,
  MANIFEST_HASHES,
  signVoucher,
  type TestAgent,
  type TestProvider,
} from '../model/parties.ts'
import * as reference from '../model/reference.ts'
import { claim } from '../model/referenceChain.ts'
import type { Line } from './bus.ts'
import { countersign } from './node.ts'
import type { SimulatedClock } from './time.ts'

/** A session of the reference, and what else is known of its runs. */
export type Place = {
  model: reference.Session
  agent: TestAgent
  tools: Map<string, string>
  /** When each run was accepted, by the clock that only grows. */
  acceptedMs: Map<string, number>
  /** The one receipt of each run that was ever heard. */
  receipts: Map<string, string>
}

/** The reference as a coordinator on the other end of a line. */
export class ReferenceCoordinator {
  readonly places: readonly Place[]
  readonly #provider: TestProvider
  readonly #clock: SimulatedClock

  constructor(places: readonly Place[], provider: TestProvider, clock: SimulatedClock) {
    this.places = places
    this.#provider = provider
    this.#clock = clock
  }

  /** A node has said hello: it hears what it may have missed. */
  connect(line: Line, inHand: readonly string[]): void {
    for (const place of this.places) {
      const sessionId = idOf(place)
      if (place.model.status === 'settled') line.sendToNode({ type: 'forgetSession', sessionId })
      else if (place.model.status !== 'active') line.sendToNode({ type: 'endSession', sessionId })
      this.dispatch(line, place, inHand)
    }
  }

  /** Sends what the node may not have. */
  dispatch(line: Line, place: Place, except: readonly string[] = []): void {
    if (place.model.channel !== 'open') return
    for (const run of reference.openRuns(place.model))
      if (!except.includes(run.id)) line.sendToNode({ type: 'dispatch', work: this.#workOf(place, run) })
  }

  /** Asks the node for its signature under what the receipts say. */
  askForClaim(line: Line, place: Place): void {
    const channel = channelTermsOf(place.model.id, place.agent, this.#provider)
    const claimed = { sessionId: idOf(place), channel, claimMicros: micros(place.model.spentMicros) }
    const requestId = this.places.indexOf(place)
    line.sendToNode({ type: 'claimRequest', requestId, claims: [claimed], deadline: 4_000_000_000 })
  }

  hear(line: Line, message: FromNode): void {
    if (message.type === 'receipt') this.#takeReceipt(line, message.executionId, message.jws)
    const claimed = message.type === 'claim' && message.signature ? this.places[message.requestId] : undefined
    if (claimed) claim(claimed.model)
    if (message.type === 'meter') this.#takeTick(line, message)
    if (message.type !== 'started') return
    const { place, run } = this.#find(message.executionId)
    reference.started(place.model, run)
  }

  /** An agent answers what it was asked for: its runs go on, the oldest first. */
  answer(line: Line | null, place: Place, voucherMicros: bigint): void {
    const { model } = place
    reference.voucher(model, voucherMicros)
    for (const run of reference.openRuns(model).filter(({ requestedMicros }) => requestedMicros !== null))
      this.#extend(line, place, run, { usedMs: null, knownMs: run.deadlineMs })
  }

  sweep(line: Line | null): void {
    for (const place of this.places) {
      for (const run of reference.openRuns(place.model))
        if (run.leaseUntilMs < this.#clock.nowMs()) reference.expire(place.model, run)
      reference.complete(place.model)
      if (line) this.dispatch(line, place)
    }
  }

  #find(executionId: string): { place: Place; run: reference.Run } {
    const place = this.places.find(({ model }) => model.runs.has(executionId))
    const run = place?.model.runs.get(executionId)
    invariant(place && run, 'the node tells of a run that nobody gave it')
    return { place, run }
  }

  #takeTick(
    line: Line,
    { executionId, effectiveMs, deadlineMs }: Extract<FromNode, { type: 'meter' }>,
  ): void {
    if (deadlineMs === undefined) return
    const { place, run } = this.#find(executionId)
    this.#extend(line, place, run, { usedMs: effectiveMs, knownMs: deadlineMs })
  }

  #extend(
    line: Line | null,
    { model, agent }: Place,
    run: reference.Run,
    said: Parameters<typeof reference.extend>[2],
  ): void {
    const laterMs = reference.extend(model, run, said)
    if (laterMs === null || laterMs <= said.knownMs) return
    const extension = {
      executionId: run.id as Id<'execution'>,
      sessionId: model.id as Id<'session'>,
      holdMicros: micros(run.holdMicros),
      deadlineMs: run.deadlineMs,
      voucher: signVoucher(channelTermsOf(model.id, agent, this.#provider), agent, run.voucherMicros),
    }
    line?.sendToNode({ type: 'extend', extension })
  }

  #takeReceipt(line: Line, executionId: Id<'execution'>, jws: string): void {
    const { place, run } = this.#find(executionId)
    const hash = jwsHash(jws)
    const heard = place.receipts.get(executionId) ?? hash
    invariant(heard === hash, `${executionId} has two receipts`)
    place.receipts.set(executionId, hash)
    const observedMs = this.#clock.monotonicMs() - (place.acceptedMs.get(executionId) ?? 0)
    const answer = reference.record(place.model, run, saidIn(jws, observedMs))
    const isOurs = answer !== 'receipt_mismatch' && answer !== 'receipt_replayed'
    invariant(isOurs, `an honest node's receipt is a ${answer}`)
    if (run.isDisputed) reference.end(place.model, 'dispute')
    reference.complete(place.model)
    if (answer === 'accepted')
      line.sendToNode({
        type: 'receiptAck',
        executionId,
        countersignature: countersign(hash, this.#provider),
      })
    else line.sendToNode({ type: 'receiptRefused', executionId, code: answer as never, detail: answer })
  }

  #workOf({ model, agent, tools }: Place, run: reference.Run): Dispatch {
    const channel = channelTermsOf(model.id, agent, this.#provider)
    const tool = tools.get(run.id) ?? ''
    return {
      executionId: run.id as Id<'execution'>,
      sessionId: model.id as Id<'session'>,
      tool,
      manifestHash: MANIFEST_HASHES.get(tool) ?? '',
      args: {},
      argumentsSalt: `0x${sha256Hex(run.id)}`,
      grant: run.grant,
      holdMicros: micros(run.holdMicros),
      deadlineMs: run.deadlineMs,
      ...(run.mostMicros === null ? {} : { mostMicros: micros(run.mostMicros) }),
      rateMicrosPerMinute: micros(this.#provider.rate),
      offerHash: this.#provider.offer.hash,
      channel,
      voucher: signVoucher(channel, agent, run.voucherMicros),
    }
  }
}

const idOf = ({ model }: Place) => model.id as Id<'session'>

function saidIn(jws: string, observedMs: number): reference.Receipt {
  const { receipt } = readReceipt(jws) ?? {}
  invariant(receipt, 'the node tells something that is no receipt')
  const { sequence, previous, status, effectiveMs, costMicros, cumulativeMicros } = receipt
  const { holdMicros, deadlineMs } = receipt
  const grant = { holdMicros, deadlineMs }
  const said = { sequence, previous, status, ...grant, effectiveMs, costMicros, cumulativeMicros }
  return { hash: jwsHash(jws), ...said, reason: receipt.reason ?? null, observedMs, wasStarted: false }
}
