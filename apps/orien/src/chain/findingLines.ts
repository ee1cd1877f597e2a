import type { ChainFinding } from '@orien/rails'
import { type Paint, printable } from '../terminal/terminal.ts'

const STATE_WIDTH = 7
const CHECK_WIDTH = 8

/** A finding for people: what was looked at, what was seen, and what mends it. */
export function findingLines(finding: ChainFinding, paint: Paint): string[] {
  const check = finding.check.padEnd(CHECK_WIDTH)
  const state = finding.state.padEnd(STATE_WIDTH)
  const detail = printable(finding.detail)
  if (finding.state === 'ok') return [`${paint.green(state)}  ${check}  ${detail}`]
  const mark = finding.state === 'fault' ? paint.red : paint.yellow
  const indent = ' '.repeat(STATE_WIDTH + CHECK_WIDTH + 4)
  return [`${mark(state)}  ${check}  ${finding.code}: ${detail}`, paint.dim(`${indent}${finding.fix}`)]
}
