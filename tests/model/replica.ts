import { createHash } from 'node:crypto'
import type { createPool } from '@orien/coordinator'
import { invariant, makeId, type ToNode, toHex } from '@orien/protocol'
import { noTracing } from '@orien/tracing'
import { pino } from 'pino'
import type { Clock } from '../../apps/coordinator/src/clock.ts'
import { composeContext } from '../../apps/coordinator/src/compose.ts'
import type { Config } from '../../apps/coordinator/src/config.ts'
import type { Context, Nodes, Rail } from '../../apps/coordinator/src/context.ts'
import { createSubmitter, type Submitter } from '../../apps/coordinator/src/execution/submit.ts'
import { createRecorder, type Recorder } from '../../apps/coordinator/src/metering/record.ts'
import type { Random } from '../../apps/coordinator/src/random.ts'
import { type Accruer, createAccruer } from '../../apps/coordinator/src/session/accrue.ts'
import { CHAIN, signClaimsFor, type TestProvider } from './parties.ts'
import { TERMS } from './reference.ts'

/** The coordinator's own verbs and stores, with a clock and a chance of the test's, and nobody on the other side. */
export type Replica = {
  ctx: Context
  submitter: Submitter
  recorder: Recorder
  accruer: Accruer
  told: ToNode[]
}

/** A clock that moves when the test says so. */
export type TestClock = Clock & { advance: (ms: number) => void }

export function createTestClock(): TestClock {
  let elapsedMs = 0
  // Some columns are judged by the database's clock, which nobody sets.
  const beganMs = Date.now()
  return {
    now: () => new Date(beganMs + elapsedMs),
    monotonicMs: () => elapsedMs,
    after: () => () => {},
    advance: (ms) => {
      elapsedMs += ms
    },
  }
}

/** Ids that sort by the order in which they were drawn. */
export function createTestRandom(clock: Clock, seed: string): Random {
  let drawn = 0
  const bytes = (count: number) => {
    drawn += 1
    const block = createHash('sha512').update(`${seed} ${drawn}`).digest()
    return new Uint8Array(block.subarray(0, count))
  }
  const numbered = () => {
    drawn += 1
    const text = new Uint8Array(10)
    new DataView(text.buffer).setUint32(0, drawn)
    text.set(createHash('sha256').update(seed).digest().subarray(0, 6), 4)
    return text
  }
  return {
    bytes,
    id: (kind) => makeId(kind, clock.now().getTime(), numbered()),
    word: () => toHex(bytes(32)),
  }
}

/** Nodes that are always there, keep what they are told and sign every claim that they are asked for. */
function nodesOf(providers: readonly TestProvider[], told: ToNode[]): Nodes {
  const byId = new Map<string, TestProvider>(providers.map((provider) => [provider.id, provider]))
  return {
    isOnline: (id) => byId.has(id),
    online: () => [...byId.keys()],
    stateOf: (id) => (byId.has(id) ? { admission: { mode: 'open', blocked: [] } } : undefined),
    cut: () => {},
    send: (_id, message) => told.push(message) > 0,
    ask: async (id, request, answer) => {
      const provider = byId.get(id)
      invariant(provider && request.type === 'claimRequest', 'only claims are asked for')
      return { type: answer, requestId: 0, signature: signClaimsFor(provider, request), refused: [] } as never
    },
  }
}

/** A chain that would take everything. */
const RAIL: Rail = {
  isOperator: async () => true,
  balanceOf: async () => 1n << 70n,
  isTransferred: async () => false,
  gasMicros: async () => null,
  reserve: async () => '0x0000000000000000000000000000000000000000',
  simulate: async () => ({ ok: true }),
  now: async () => 1_767_225_600,
  findArrival: async () => ({ status: 'unused' }),
  holdings: async () => ({ blockNumber: 0n, escrowMicros: 0n, reserveMicros: 0n, walletMicros: 0n }),
  payouts: async () => [],
}

const CONFIG: Config = {
  host: '127.0.0.1',
  port: 0,
  baseUrl: 'http://127.0.0.1',
  dataDir: '',
  isProduction: true,
  requestsPerMinute: 1_000_000,
  leaseMs: TERMS.leaseMs,
  // Sweeps come when the test says so; a pause between two of them is no outage.
  sweepEveryMs: 3_600_000,
  logLevel: 'silent',
  version: 'model',
}

/** Starts one: as after a restart, nothing is remembered that is not in the database. */
export function createReplica(
  pool: ReturnType<typeof createPool>,
  parts: { clock: Clock; random: Random; providers: readonly TestProvider[]; dataDir: string },
): Replica {
  const { clock, random, providers, dataDir } = parts
  const told: ToNode[] = []
  const ctx = composeContext({
    ...{ pool, clock, random, config: { ...CONFIG, dataDir }, log: pino({ level: 'silent' }) },
    ...{ nodes: nodesOf(providers, told), chain: CHAIN, rail: RAIL, tracing: noTracing, onPlanned: () => {} },
    chainHealth: { read: async () => ({ state: 'ok', hasGas: true }), relayerWei: async () => null },
    databaseHealth: { read: async () => 'ok', close: async () => {} },
  })
  return {
    ctx,
    submitter: createSubmitter(ctx),
    recorder: createRecorder(ctx),
    accruer: createAccruer(ctx),
    told,
  }
}
