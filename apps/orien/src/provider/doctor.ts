import { examine, type Finding } from '@orien/provider-node'
import type { Handler, Shell } from '../commands/bind.ts'
import { counted } from '../terminal/amounts.ts'
import { printable } from '../terminal/terminal.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { manifestOf } from './tools.ts'

type Options = { dataDir: string; tools?: string; coordinator?: string; rpcUrl?: string; port?: string }

const WIDEST_CHECK = 11

/** `orien provider doctor`: one line for each check; ends with 1 when something keeps the node from being rented. */
export const examineProvider: Handler<Options> = async (shell, options) => {
  const { terminal, settings } = shell
  const { dataDir, coordinator, rpcUrl = settings.rpcUrl } = options
  const findings: Finding[] = []
  const looks = examine({
    dataDir,
    manifestFile: options.tools ?? manifestOf(dataDir),
    coordinatorUrl: coordinator,
    rpcUrl,
    searchPath: settings.childEnvironment.PATH ?? '',
    port: portOf(options.port),
  })
  for await (const finding of looks) {
    findings.push(finding)
    if (!terminal.isJson) tell(shell, finding)
  }
  const faults = findings.filter(({ state }) => state === 'fault').length
  const warnings = findings.filter(({ state }) => state === 'warning').length
  if (terminal.isJson) terminal.printJson({ healthy: faults === 0, faults, warnings, findings })
  else if (faults + warnings === 0) terminal.say('Nothing keeps this node from being rented.')
  else terminal.say(`${counted(faults, 'fault')}, ${counted(warnings, 'warning')}`)
  return faults === 0 ? 0 : 1
}

function portOf(text: string | undefined): number {
  const port = Number(text ?? 0)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw wrongUse('--port is a whole number from 0 to 65535')
}

function tell({ terminal }: Shell, finding: Finding): void {
  const { green, yellow, red, dim } = terminal.out
  const check = finding.check.padEnd(WIDEST_CHECK)
  const detail = printable(finding.detail)
  if (finding.state === 'ok') {
    terminal.print(`${green('ok     ')}  ${check}  ${detail}`)
    return
  }
  const paint = finding.state === 'fault' ? red : yellow
  terminal.print(`${paint(finding.state.padEnd(7))}  ${check}  ${finding.code}: ${detail}`)
  terminal.print(dim(`${' '.repeat(7)}  ${' '.repeat(WIDEST_CHECK)}  ${finding.fix}`))
}
