import { setTimeout as pause } from 'node:timers/promises'
import { OrienError } from '@orien/protocol'
import { askNode, countKeptWorkspaces, loadEarnings, loadProvider, loadRules } from '@orien/provider-node'
import { Orien } from '@orien/sdk'
import type { Handler, Shell } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { createScreen } from '../terminal/screen.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { type Facts, type NodeStatus, statusLines } from './statusLines.ts'

type Options = { dataDir: string; coordinator?: string; watch?: boolean; every?: string }

/** `orien provider status`; ends with 1 when agents cannot rent this node now. */
export const providerStatus: Handler<Options> = async (shell, options) => {
  if (options.watch !== true) return show(shell, await look(shell, options))
  const everyMs = intervalOf(options.every)
  return interruptible(async (signal) => {
    const { stdout } = process
    const size = () => (stdout.isTTY ? { columns: stdout.columns || 80, rows: stdout.rows || 24 } : undefined)
    const screen = createScreen(shell.terminal, size)
    while (!signal.aborted) {
      const facts = await look(shell, options)
      if (shell.terminal.isJson) shell.terminal.printJson(summaryOf(facts))
      else screen.draw(statusLines(facts))
      await pause(everyMs, undefined, { signal }).catch(() => undefined)
    }
    return 0
  })
}

function intervalOf(text = '1'): number {
  const seconds = Number(text)
  if (seconds >= 0.2 && seconds <= 3_600) return seconds * 1_000
  throw wrongUse('--every is a number of seconds from 0.2 to 3600')
}

/** Both sides' accounts; neither has to be there for the other. */
async function look({ settings }: Shell, { dataDir, coordinator }: Options): Promise<Facts> {
  const local = await loadProvider(dataDir)
  const baseUrl = coordinator ?? local.coordinatorUrl ?? settings.coordinatorUrl
  const { providerId } = local.registration
  const [node, seen, earnings, mode, keptSessions] = await Promise.all([
    askNode(dataDir, { method: 'GET', path: '/status' }).then(
      (status) => status as NodeStatus,
      (error: unknown) => codeOf(error, ['provider_offline', 'node_unreachable']),
    ),
    new Orien({ baseUrl })
      .provider(providerId)
      .catch((error: unknown) => codeOf(error, ['not_found', 'coordinator_unreachable', 'timed_out'])),
    loadEarnings(dataDir),
    // The doctor says what is wrong with the file; here it must not hide the rest.
    loadRules(dataDir).then(
      (rules) => rules.mode,
      () => 'open',
    ),
    countKeptWorkspaces(dataDir),
  ])
  return { local, baseUrl, node, seen, earnings, atRest: { mode, keptSessions } }
}

/** A code that is an answer by itself; anything else is a failure of the command. */
function codeOf(error: unknown, expected: readonly string[]): string {
  if (error instanceof OrienError && expected.includes(error.code)) return error.code
  throw error
}

function summaryOf({ local, baseUrl, node, seen, earnings, atRest }: Facts) {
  const { totals, runs, grossMicros, providerMicros } = earnings
  return {
    providerId: local.registration.providerId,
    coordinator: baseUrl,
    status: typeof seen === 'string' ? (seen === 'not_found' ? 'not registered' : seen) : seen.status,
    seen: typeof seen === 'string' ? null : seen,
    node: typeof node === 'string' ? null : node,
    ...(node === 'provider_offline' ? { atRest } : {}),
    earnings: { runs, grossMicros, providerMicros, ...totals },
  }
}

function show({ terminal }: Shell, facts: Facts): number {
  const summary = summaryOf(facts)
  if (terminal.isJson) terminal.printJson(summary)
  else for (const line of statusLines(facts)) terminal.print(line)
  return summary.status === 'online' ? 0 : 1
}
