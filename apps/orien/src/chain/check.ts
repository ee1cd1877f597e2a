import { checkChain, checkEndpoints, connectChain, rpcUrls } from '@orien/rails'
import type { Handler } from '../commands/bind.ts'
import { counted } from '../terminal/amounts.ts'
import { type ChainOptions, readConfigured } from './configured.ts'
import { findingLines } from './findingLines.ts'

/** `orien chain check`: one line for each thing that has to be so; ends with 1 on a fault or a relayer without gas. */
export const checkConfiguredChain: Handler<ChainOptions> = async (shell, options) => {
  const { terminal } = shell
  const { rpcUrl, configured } = await readConfigured(shell, options)
  const { profile, relayer, escrow, token } = configured
  terminal.say(`${profile.name}, chain ${profile.chain.id}, at ${hostsOf(rpcUrl)}`)
  const client = connectChain(profile, rpcUrl)
  const findings = [...(await checkEndpoints(profile, rpcUrl)), ...(await checkChain(client, configured))]
  const faults = findings.filter(({ state }) => state === 'fault').length
  const warnings = findings.filter(({ state }) => state === 'warning').length
  const isReady = faults + warnings === 0
  if (terminal.isJson) {
    const chainId = profile.chain.id
    terminal.printJson({ ready: isReady, faults, warnings, chainId, escrow, token, relayer, findings })
  } else {
    for (const finding of findings) {
      for (const line of findingLines(finding, terminal.out)) terminal.print(line)
    }
    const found = faults > 0 ? counted(faults, 'fault') : counted(warnings, 'warning')
    terminal.say(isReady ? 'Money can be handled on this chain.' : found)
  }
  return isReady ? 0 : 1
}

const hostsOf = (list: string) =>
  rpcUrls(list)
    .map((url) => new URL(url).host)
    .join(' and ')
