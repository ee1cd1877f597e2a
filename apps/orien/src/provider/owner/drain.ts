import { setTimeout as pause } from 'node:timers/promises'
import { OrienError } from '@orien/protocol'
import { askNode } from '@orien/provider-node'
import type { Handler, Shell } from '../../commands/bind.ts'
import { interruptible } from '../../commands/interrupt.ts'
import { counted } from '../../terminal/amounts.ts'
import { changeRules, whereInForce } from './rules.ts'

type Options = { dataDir: string; undo?: boolean; exit?: boolean; wait: boolean }
type Leftovers = { sessions: string[]; runs: number; receipts: number }

const LOOK_MS = 500

/** `orien provider drain`: nothing new; says when what is under way is over. */
export const drainProvider: Handler<Options> = async (shell, options) =>
  interruptible(async (signal) => {
    const { terminal } = shell
    const { dataDir, undo = false, exit = false, wait } = options
    const decided = await changeRules(dataDir, {
      mode: undo ? 'open' : 'draining',
      ...(exit && !undo ? { endWhenDone: true } : {}),
    })
    terminal.say(undo ? `Takes sessions again: ${whereInForce(decided)}` : `Drains: ${whereInForce(decided)}`)
    const isDrained =
      undo || !decided.isRunning || !wait ? null : await awaitDrain(shell, dataDir, exit, signal)
    if (terminal.isJson) terminal.printJson({ ...decided.rules, isRunning: decided.isRunning, isDrained })
    else if (isDrained) terminal.print(exit ? 'drained, and ended' : 'drained: nothing is under way')
    return signal.aborted ? 1 : 0
  })

async function awaitDrain(
  { terminal }: Shell,
  dataDir: string,
  exit: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  for (;;) {
    const status = await askNode(dataDir, { method: 'GET', path: '/status' }).catch((error: unknown) => {
      // Ended as it was asked to: there is nobody left to say so.
      if (exit && error instanceof OrienError) return null
      throw error
    })
    if (status === null || (status.isDrained === true && !exit) || signal.aborted) break
    terminal.status(`waits for ${leftoversText(status.leftovers as Leftovers)}`)
    await pause(LOOK_MS, undefined, { signal }).catch(() => undefined)
  }
  terminal.status(null)
  if (signal.aborted) terminal.say('The node goes on draining; `orien provider drain` waits again.')
  return !signal.aborted
}

function leftoversText({ sessions, runs, receipts }: Leftovers): string {
  const [first] = sessions
  const which = first === undefined ? '' : sessions.length === 1 ? ` (${first})` : ` (${first} and others)`
  return `${counted(sessions.length, 'session')}${which}, ${counted(runs, 'run')}, ${counted(receipts, 'receipt')} untold`
}
