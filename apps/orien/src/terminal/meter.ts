import { costMicros, durationMs, least, type UsdcMicros } from '@orien/protocol'
import { exactUsdc, shortTime } from './amounts.ts'

/** A run and its meter. */
export type Metered = {
  tool: string
  effectiveMs: number
  rateMicrosPerMinute: UsdcMicros
  holdMicros: UsdcMicros
}

const BAR_CELLS = 20

/**
 * A running meter in one line: what has been used so far of what the run may cost at most.
 *
 * @example
 * meterLine({ tool: 'render_scene', effectiveMs: 1_500, rateMicrosPerMinute: micros(600_000n), holdMicros: micros(30_000n) })
 * // "render_scene  1.5 s  0.015000 of 0.030000 USDC  [██████████··········]"
 */
export function meterLine({ tool, effectiveMs, rateMicrosPerMinute, holdMicros }: Metered): string {
  const soFar = least(costMicros(rateMicrosPerMinute, durationMs(effectiveMs)), holdMicros)
  const filled = holdMicros === 0n ? 0 : Number((soFar * BigInt(BAR_CELLS)) / holdMicros)
  const bar = '█'.repeat(filled) + '·'.repeat(BAR_CELLS - filled)
  return `${tool}  ${shortTime(effectiveMs)}  ${exactUsdc(soFar)} of ${exactUsdc(holdMicros)} USDC  [${bar}]`
}
