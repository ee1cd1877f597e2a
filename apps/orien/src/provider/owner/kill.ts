import { setTimeout as pause } from 'node:timers/promises'
import { OrienError } from '@orien/protocol'
import { changeRulesAtRest, lockHolder } from '@orien/provider-node'
import type { Handler, Shell } from '../../commands/bind.ts'
import { changeRules, type Decided, whereInForce } from './rules.ts'

const LOOK_MS = 20
const GONE_LOOKS = 500

/** `orien provider kill`: everything dies at once; nothing new until `resume`. */
export const killProvider: Handler<{ dataDir: string }> = async (shell, { dataDir }) => {
  const { terminal } = shell
  const decided = await changeRules(dataDir, { mode: 'killed' }).catch((error: unknown) =>
    error instanceof OrienError && error.code === 'node_unreachable'
      ? endProcess(shell, dataDir)
      : Promise.reject(error),
  )
  if (terminal.isJson) terminal.printJson({ ...decided.rules, isRunning: decided.isRunning })
  else terminal.print(`killed: ${whereInForce(decided)}; orien provider resume takes it back`)
  return 0
}

/**
 * A node that does not answer is ended as it is. The kernel takes its tools with it, and its next start signs what they
 * were: nothing is known of what they used by then, so it costs nothing.
 */
async function endProcess({ terminal }: Shell, dataDir: string): Promise<Decided> {
  const pid = await lockHolder(dataDir)
  if (pid !== null) {
    terminal.say(`The node does not answer; its process ${pid} is ended.`)
    process.kill(pid, 'SIGKILL')
  }
  for (let looks = 0; (await lockHolder(dataDir)) !== null; looks += 1) {
    if (looks === GONE_LOOKS) throw new OrienError('node_unreachable', `the process ${pid} does not end`)
    await pause(LOOK_MS)
  }
  return { rules: await changeRulesAtRest(dataDir, { mode: 'killed' }), isRunning: false }
}

/** `orien provider resume`: takes work again after a kill or a drain. */
export const resumeProvider: Handler<{ dataDir: string }> = async ({ terminal }, { dataDir }) => {
  const decided = await changeRules(dataDir, { mode: 'open' })
  if (terminal.isJson) terminal.printJson({ ...decided.rules, isRunning: decided.isRunning })
  else terminal.print(`takes work: ${whereInForce(decided)}`)
  return 0
}
