import { z } from 'zod'
import { bytes32, sha256Schema } from './bytes.ts'
import { failureReason } from './execution.ts'
import { executionId, providerId, sessionId } from './ids.ts'
import { toolId } from './manifest.ts'
import { usdcMicros } from './money.ts'
import { isolationClass } from './offer.ts'
import { instant } from './time.ts'

/** A file and what was in it. */
export const fileHash = z.strictObject({
  name: z.string().max(512),
  sha256: sha256Schema,
  bytes: z.int().min(0),
})

/** Where each figure of the meter was read. */
export const meterSource = z.enum(['cgroup', 'helper', 'node'])

/**
 * One run, as its node saw it: signed, and chained to the receipt before it (or to the offer). The only way a run
 * gets a cost.
 */
export const receipt = z.strictObject({
  v: z.literal(1),
  executionId,
  sessionId,
  providerId,
  channelId: bytes32,
  /** 1, 2, 3 … within the session. */
  sequence: z.int().positive(),
  /** Hash of the receipt before, or of the offer for the first one. */
  previous: sha256Schema,
  /** The grant that the run stopped on. */
  grant: z.int().positive(),
  tool: toolId,
  manifestHash: sha256Schema,
  /** SHA-256 over salt and canonical arguments: provable to who knows them, opaque to others. */
  argumentsHash: sha256Schema,
  inputs: z.array(fileHash).max(100),
  outputs: z.array(fileHash).max(1_000),
  /** SHA-256 over all output, in the order it was delivered. */
  logHash: sha256Schema,
  logBytes: z.int().min(0),
  isolation: isolationClass,
  startedAt: instant,
  endedAt: instant,
  /** Billed effective time, milliseconds. */
  effectiveMs: z.int().min(0),
  cpuMs: z.int().min(0),
  maxRssBytes: z.int().min(0),
  /**
   * What the whole tree moved by read and write calls, whatever lay behind the descriptor; both absent where the
   * node's driver does not count it, and in receipts from before it was counted.
   */
  readBytes: z.int().min(0).optional(),
  writtenBytes: z.int().min(0).optional(),
  sources: z.strictObject({
    wall: meterSource,
    cpu: meterSource,
    memory: meterSource,
    io: meterSource.optional(),
  }),
  exitCode: z.int().nullable(),
  status: z.enum(['completed', 'failed']),
  reason: failureReason.optional(),
  rateMicrosPerMinute: usdcMicros,
  holdMicros: usdcMicros,
  deadlineMs: z.int().positive(),
  costMicros: usdcMicros,
  /** Sum of the costs of this and all receipts before it in the session. */
  cumulativeMicros: usdcMicros,
})
/** See {@link receipt}. */
export type Receipt = z.output<typeof receipt>
