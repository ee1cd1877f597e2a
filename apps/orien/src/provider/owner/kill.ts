import { OrienError } from '@orien/protocol'
import { changeRulesAtRest, lockHolder } from '@orien/provider-node'
import type { Handler, Shell } from '../../commands/bind.ts'
import { changeRules, type Decided, whereInForce } from './rules.ts'
import { untilEnded } from './untilEnded.ts'

const GONE_MS = 10_000

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
    await untilEnded(dataDir, pid, GONE_MS)
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
