import {
  assertNever,
  billedMs,
  costMicros,
  durationMs,
  type FailureReason,
  type Receipt,
  sha256Hex,
  ZERO,
} from '@orien/protocol'
import type { RunFacts } from '../sandbox/driver.ts'

/** The part of a receipt that tells how a run went. */
export type Outcome = Pick<
  Receipt,
  | 'status'
  | 'exitCode'
  | 'effectiveMs'
  | 'cpuMs'
  | 'maxRssBytes'
  | 'readBytes'
  | 'writtenBytes'
  | 'sources'
  | 'costMicros'
  | 'inputs'
  | 'outputs'
  | 'logHash'
  | 'logBytes'
> & { reason?: FailureReason }

/** Why the node itself stopped a run; the driver only knows that it was told to. */
export type NodeStop = 'cancelled' | 'authorization_expired' | 'sandbox_error'

type Terms = Pick<Receipt, 'rateMicrosPerMinute' | 'deadlineMs'> & {
  timeLimitMs: number
  /** The agent could have authorised more, and did not. */
  mayHaveMore?: boolean
}

const EMPTY_SHA256 = sha256Hex('')

/** A run that never came to exec, or whose sandbox failed: it costs nothing. */
export function freeOutcome(reason: FailureReason, log = { sha256: EMPTY_SHA256, bytes: 0 }): Outcome {
  return {
    status: 'failed',
    reason,
    exitCode: null,
    effectiveMs: 0,
    cpuMs: 0,
    maxRssBytes: 0,
    sources: { wall: 'node', cpu: 'node', memory: 'node' },
    costMicros: ZERO,
    inputs: [],
    outputs: [],
    logHash: log.sha256,
    logBytes: log.bytes,
  }
}

/** Why a run failed; undefined when it did not. */
export function failureOf(
  facts: Pick<RunFacts, 'stop' | 'exitCode'>,
  terms: Pick<Terms, 'deadlineMs' | 'timeLimitMs' | 'mayHaveMore'>,
  nodeStop?: NodeStop,
): FailureReason | undefined {
  switch (facts.stop) {
    case 'exit':
      return facts.exitCode === 0 ? undefined : 'nonzero_exit'
    case 'time_limit':
    case 'deadline':
      if (terms.mayHaveMore) return 'authorization_expired'
      // A full grant lasts exactly as long as the tool may take: then it is the tool's limit that ended the run.
      return terms.deadlineMs < terms.timeLimitMs ? 'budget_exhausted' : 'timed_out'
    case 'cancelled':
      return nodeStop ?? 'cancelled'
    case 'output_limit':
    case 'out_of_memory':
    case 'disk_limit':
    case 'sandbox_error':
      return facts.stop
    default:
      return assertNever(facts.stop)
  }
}

/** Prices what the driver measured. */
export function outcomeOf(
  facts: RunFacts,
  terms: Terms,
  files: Pick<Receipt, 'inputs' | 'outputs'>,
  log: { sha256: string; bytes: number },
  nodeStop?: NodeStop,
): Outcome {
  const reason = failureOf(facts, terms, nodeStop)
  // The provider's own failure, or its own wish to stop, is not the agent's to pay.
  if (reason === 'sandbox_error') return freeOutcome(reason, log)
  const effectiveMs = billedMs(facts.effectiveMicros, durationMs(terms.deadlineMs))
  return {
    status: reason ? 'failed' : 'completed',
    ...(reason ? { reason } : {}),
    exitCode: facts.exitCode,
    effectiveMs,
    cpuMs: Math.ceil(facts.cpuMicros / 1_000),
    maxRssBytes: facts.maxRssBytes,
    ...facts.io,
    sources: facts.sources,
    costMicros: costMicros(terms.rateMicrosPerMinute, effectiveMs),
    ...files,
    logHash: log.sha256,
    logBytes: log.bytes,
  }
}
