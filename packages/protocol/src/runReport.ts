import { z } from 'zod'
import { MAX_DURATION_MS } from './time.ts'

/**
 * The sampled place in a trace, as it travels between processes: version 00, trace id, parent span id and flags in hex,
 * ids not all zero. https://www.w3.org/TR/trace-context/#traceparent-header
 */
export const traceparent = z.string().regex(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/)

/**
 * Reads a `traceparent` header. One that is malformed counts as absent, as the standard has it.
 *
 * @example
 * readTraceparent('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
 */
export function readTraceparent(value: unknown): string | undefined {
  const parsed = traceparent.safeParse(value)
  return parsed.success ? parsed.data : undefined
}

const phaseMs = z.int().min(0).max(MAX_DURATION_MS)

/** The phases of a run that only its node sees, in their order. */
export const NODE_PHASES = ['queueMs', 'setUpMs', 'runMs', 'receiptMs'] as const

/**
 * What a node tells about a run beside its receipt, in milliseconds by its own monotonic clock: waiting for a slot,
 * preparing the sandbox, the tool, and from the tool's end until the receipt is on the disk. It is not signed and moves
 * no money; whatever does not fit the schema counts as absent, so that it never costs anybody a receipt.
 */
export const runReport = z.object({
  v: z.literal(1),
  queueMs: phaseMs.optional(),
  setUpMs: phaseMs.optional(),
  runMs: phaseMs.optional(),
  receiptMs: phaseMs.optional(),
  /** The execution's place in its trace, as the dispatch named it. */
  traceparent: traceparent.optional(),
})
/** See {@link runReport}. */
export type RunReport = z.output<typeof runReport>

/**
 * Reads what a node tells about a run.
 *
 * @returns null for anything but a report of a version that is known
 */
export function readRunReport(value: unknown): RunReport | null {
  const parsed = runReport.safeParse(value)
  return parsed.success ? parsed.data : null
}
