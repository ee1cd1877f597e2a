import { formatUsdc, OrienError, type UsdcMicros, ZERO } from '@orien/protocol'
import { billLines } from '../agent/bill.ts'
import { verdictLines } from '../agent/verdict.ts'
import { exactUsdc, shortBytes } from '../terminal/amounts.ts'
import { createLineCutter } from '../terminal/lines.ts'
import { meterLine } from '../terminal/meter.ts'
import { outcomeLine } from '../terminal/outcome.ts'
import { printable, type Terminal } from '../terminal/terminal.ts'
import { type Mission, type MissionPlace, type MissionWatcher, runMission } from './mission.ts'
import { missionJson } from './missionJson.ts'
import { MISSION_GIFT } from './task.ts'

/** A mission that takes longer than this is stuck. */
const MISSION_MS = 300_000

/**
 * Runs the mission before a person's eyes: output as it comes, the meter in place, the bill at the end.
 *
 * @throws OrienError `receipt_disputed` when the bill is not verified
 */
export async function showMission(
  terminal: Terminal,
  place: MissionPlace,
  signal: AbortSignal,
): Promise<Mission> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(MISSION_MS)])
  const mission = await runMission(place, watchOn(terminal), bounded).catch((error: unknown) => {
    if (bounded.aborted && !signal.aborted)
      throw new OrienError('timed_out', 'The mission did not end in time')
    throw error
  })
  showBill(terminal, mission)
  const { verdict, failure } = mission.verdict
  if (verdict === 'verified') return mission
  throw new OrienError(
    'receipt_disputed',
    `The bill is ${verdict}: ${failure?.line ?? ''} ${failure?.detail ?? ''}`,
  )
}

function showBill(terminal: Terminal, mission: Mission): void {
  const print = terminal.isJson ? terminal.say : terminal.print
  const paint = terminal.isJson ? terminal.err : terminal.out
  for (const line of ['', ...billLines(mission.billText, paint), '']) print(line)
  terminal.say(`bill saved: ${mission.billPath}`)
  const [verdict = ''] = verdictLines({ ...mission.verdict, lines: [] }, paint).slice(-1)
  print(verdict)
}

export function printMissionJson(terminal: Terminal, mission: Mission): void {
  if (terminal.isJson) terminal.printJson(missionJson(mission))
}

function watchOn(terminal: Terminal): MissionWatcher {
  const { err } = terminal
  const fact = (name: string, what: string) => terminal.say(`  ${err.dim(name.padEnd(9))} ${what}`)
  let rateMicrosPerMinute: UsdcMicros = ZERO
  let run: { id: string; tool: string; holdMicros: UsdcMicros } | undefined
  const lines = createLineCutter((line) => terminal.say(`  ${err.dim(`│ ${line}`)}`))
  return {
    wallet: (address) => {
      terminal.say('')
      terminal.say(
        err.bold('mission') + err.dim('  an agent rents a machine, runs four tools, pays for what ran'),
      )
      fact('wallet', `${address}, fresh, ${formatUsdc(MISSION_GIFT)} local USDC`)
    },
    opened: (provider, session) => {
      rateMicrosPerMinute = session.rateMicrosPerMinute
      fact(
        'provider',
        `${printable(provider.name)}, ${exactUsdc(rateMicrosPerMinute)} USDC per effective minute`,
      )
      fact('session', `${session.id}, budget ${formatUsdc(session.budgetMicros)} USDC`)
    },
    uploaded: (name, bytes) => fact('uploaded', `${name}, ${shortBytes(bytes)}`),
    step: ({ tool, purpose }) => terminal.say(`\n${err.bold(err.cyan(tool))}  ${purpose}`),
    started: ({ id, tool, holdMicros }) => {
      run = { id, tool, holdMicros }
      if (terminal.isLive) {
        terminal.status(`  ${meterLine({ tool, holdMicros, rateMicrosPerMinute, effectiveMs: 0 })}`)
      }
    },
    output: ({ text }) => lines.push(text),
    meter: (executionId, effectiveMs) => {
      if (run?.id === executionId)
        terminal.status(`  ${meterLine({ ...run, rateMicrosPerMinute, effectiveMs })}`)
    },
    finished: ({ expected }, view) => {
      run = undefined
      lines.end()
      terminal.status(null)
      const note = expected === 'completed' ? '' : err.dim('  (this was the point)')
      terminal.say(`  ${err.green('✓')} ${outcomeLine(view)}${note}`)
    },
    saved: (path) => terminal.say(`  saved ${path}`),
    ending: () => terminal.say('\nending the session with money left …'),
  }
}
