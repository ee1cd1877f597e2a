import { type ChannelTerms, type Hex, invariant, makeJws, micros, ZERO } from '@orien/protocol'
import { watchChannels } from '../../apps/provider-node/src/admission/channelWatch.ts'
import { recoverRuns } from '../../apps/provider-node/src/journal/recover.ts'
import { DEFAULT_TIMING } from '../../apps/provider-node/src/limits.ts'
import { Delivery } from '../../apps/provider-node/src/link/delivery.ts'
import { takeMessage } from '../../apps/provider-node/src/link/takeMessage.ts'
import type { Tool } from '../../apps/provider-node/src/manifest/tools.ts'
import type { Spools } from '../../apps/provider-node/src/output/spool.ts'
import { createHistory } from '../../apps/provider-node/src/run/history.ts'
import { Runs, type RunsContext } from '../../apps/provider-node/src/run/runs.ts'
import { createScheduler } from '../../apps/provider-node/src/run/scheduler.ts'
import { type Grounds, judgeClaims } from '../../apps/provider-node/src/signer/judge.ts'
import type { SignRequest } from '../../apps/provider-node/src/signer/request.ts'
import { createNodeMetrics } from '../../apps/provider-node/src/telemetry/metrics.ts'
import type { Chance } from '../harness/chance.ts'
import { signClaimsFor, type TestProvider } from '../model/parties.ts'
import type { Line } from './bus.ts'
import { createSimulatedDriver, EMPTY_WORKSPACES } from './machine.ts'
import {
  createSimulatedSpools,
  type Disk,
  type DiskFlaw,
  openSimulatedJournal,
  type SimulatedJournal,
} from './store.ts'
import type { SimulatedClock } from './time.ts'

/** The node's own code, on a clock, a bus and a disk of the simulation. */
export type SimulatedNode = {
  journal: SimulatedJournal
  /** It connects when the receipts of an earlier process's runs are signed. */
  isReady: () => boolean
  /** What it has in hand, for its hello. */
  inHand: () => string[]
  attach: (line: Line) => void
  /** The next message of the line arrives. */
  hear: (line: Line) => void
  repeatUnanswered: () => void
  openRuns: () => number
  /** `kill -9`, in the middle of a write. */
  crash: (arrived: number) => void
}

export type NodeParts = {
  clock: SimulatedClock
  chance: Chance
  disk: Disk
  provider: TestProvider
  tools: ReadonlyMap<string, Tool>
  /** Of the chain: what is deposited for a channel with this salt, or null before it is open. */
  depositOf: (salt: Hex) => bigint | null
  onStart: (executionId: string) => void
  flaw: DiskFlaw
}

const QUIET = { info: () => {}, warn: () => {}, error: () => {} }

/** Starts it on what is left on the disk, as the product does; it is ready when the receipts of dead runs are signed. */
export function startSimulatedNode(parts: NodeParts): SimulatedNode {
  const { clock, chance, disk, provider } = parts
  const { offer } = provider
  const journal = openSimulatedJournal(disk, parts.flaw)
  if (!journal.state.offers.has(offer.hash)) journal.note({ t: 'offer', jws: offer.jws })
  const spools = createSimulatedSpools(disk)
  const driver = createSimulatedDriver(clock, chance, parts.onStart)
  const key = { publicKey: provider.nodeKey, sign: provider.sign }
  const issuer = { journal, key, providerId: provider.id, isolation: 'namespaces' } as const
  const delivery = new Delivery(journal.state)
  const runs = runsOf(parts, { journal, issuer, spools, driver, delivery })
  let isReady = false
  void recoverRuns(issuer, clock.nowMs())
    .then(() => restoreDelivery(journal, delivery, spools))
    .then(() => {
      isReady = true
    })
  const isOpen = (sessionId: string) => runs.isOpen(sessionId)
  const claimant = { journal, operator: operatorOf(provider), offer, isOpen }
  const takers = {
    ...{ runs, journal, delivery, spools, claimant },
    desk: { endSession: async () => {} },
    workspaces: EMPTY_WORKSPACES,
    log: QUIET,
    onForgotten: () => {},
  }
  return {
    journal,
    inHand: () => delivery.inHand(),
    isReady: () => isReady,
    attach: (line) => delivery.attach(line.connection),
    hear: (line) => {
      const message = line.toNode.shift()
      const at = { connection: line.connection, transfers: {} as never }
      if (message) takeMessage(takers as never, message, at)
    },
    repeatUnanswered: () => delivery.repeatUnanswered(),
    openRuns: () => runs.underWay().length,
    crash: (arrived) => {
      driver.die()
      journal.crash(arrived)
    },
  }
}

type Made = Pick<RunsContext, 'journal' | 'issuer' | 'spools' | 'driver' | 'delivery'>

function runsOf({ clock, tools, depositOf }: NodeParts, made: Made): Runs {
  const readChannel = async (terms: ChannelTerms) => {
    const depositMicros = depositOf(terms.salt)
    const state = { settledMicros: ZERO, closeRequestedAt: 0, finalized: false }
    return depositMicros === null ? null : { ...terms, ...state, depositMicros: micros(depositMicros) }
  }
  const channels = watchChannels(readChannel, clock, DEFAULT_TIMING, new AbortController().signal)
  const judge = { tools, retired: new Map(), state: made.journal.state, nowMs: clock.nowMs, channels }
  return new Runs({
    ...made,
    ...{ judge, clock },
    rules: { current: () => ({ mode: 'open', blocked: [], limits: {} }) },
    workspaces: EMPTY_WORKSPACES,
    scheduler: createScheduler(2),
    history: createHistory(),
    timing: DEFAULT_TIMING,
    metrics: createNodeMetrics(() => ({}) as never),
    tracing: { isOn: false },
    log: QUIET,
    earnings: { note: () => {} },
  } as unknown as RunsContext)
}

/** As at the product's start: the receipts that nobody has acknowledged are told again. */
async function restoreDelivery(
  { state }: SimulatedJournal,
  delivery: Delivery,
  spools: Spools,
): Promise<void> {
  for (const { executionId, sessionId, refusal } of state.pendingReceipts.values()) {
    if (refusal?.isFinal) continue
    delivery.begin({ executionId, sessionId, spool: await spools.reopen(executionId) })
    delivery.signed(executionId)
  }
}

/** What the signer's process refuses of an honest node is a mistake of one of them. */
function operatorOf(provider: TestProvider) {
  const { nodeKey, payout, chainId, escrow, token } = provider.offer.offer
  const parties = { registration: { nodeKey, payout }, chain: { chainId, escrow, token } }
  const grounds = { provider: parties, signedMicros: () => ZERO } as unknown as Grounds
  return {
    sign: async (close: SignRequest) => {
      const { refused } = judgeClaims(close, grounds)
      invariant(refused.length === 0, `the signer refuses an honest close: ${refused[0]?.detail}`)
      return { signature: signClaimsFor(provider, close), refused }
    },
  }
}

/** An acknowledgement in the form that the node asks for. */
export function countersign(receiptHash: string, provider: TestProvider): string {
  const payload = { v: 1, receiptHash, recordedAt: '2026-06-01T00:00:00.000Z' }
  return makeJws('orien-countersignature+jws', provider.nodeKey, payload, provider.sign)
}
