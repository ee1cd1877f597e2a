import { coordinatorOf } from '../agent/coordinator.ts'
import type { AgentOptions, Handler } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { pathsIn } from '../compose/dataDir.ts'
import { printMissionJson, showMission } from './showMission.ts'

/** `orien demo` */
export const demo: Handler<AgentOptions & { dataDir: string }> = async (shell, options) => {
  const { terminal } = shell
  const place = { url: coordinatorOf(shell, options), saveDir: pathsIn(options.dataDir).missions }
  return interruptible(async (signal) => {
    printMissionJson(terminal, await showMission(terminal, place, signal))
    return 0
  })
}
