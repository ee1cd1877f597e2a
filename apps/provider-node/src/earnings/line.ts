import { executionId, instant, sessionId, toolId, usdcMicros } from '@orien/protocol'
import { z } from 'zod'

/** One line of the book: a run that has a receipt, a session that the chain has paid, or a part of one. */
const line = z.discriminatedUnion('t', [
  z.strictObject({
    t: z.literal('run'),
    at: instant,
    executionId,
    sessionId,
    tool: toolId,
    effectiveMs: z.int().min(0),
    costMicros: usdcMicros,
  }),
  z.strictObject({ t: z.literal('claimed'), at: instant, sessionId, settledMicros: usdcMicros }),
  z.strictObject({ t: z.literal('paid'), at: instant, sessionId, settledMicros: usdcMicros }),
])
/** See {@link line}. */
export type EarningsLine = z.output<typeof line>

export const encodeLine = (value: EarningsLine): string => `${JSON.stringify(line.encode(value))}\n`

/** @returns null for what a crash has cut off */
export function decodeLine(text: string): EarningsLine | null {
  try {
    const parsed = line.safeDecode(JSON.parse(text))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
