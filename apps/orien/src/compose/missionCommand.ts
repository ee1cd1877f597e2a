import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeKeptWorkspaces } from '@orien/provider-node'
import type { Handler } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import type { Mission } from '../mission/mission.ts'
import { printMissionJson, showMission } from '../mission/showMission.ts'
import { pathsIn } from './dataDir.ts'
import { missionPlace } from './missionPlace.ts'
import { reportTo } from './report.ts'
import { startStack } from './stack.ts'

/** `orien mission`: nothing of the stack stays but the picture and the bill. */
export const missionCommand: Handler<{ dataDir: string }> = async ({ terminal, settings }, options) => {
  const saveDir = pathsIn(options.dataDir).missions
  const dataDir = await mkdtemp(join(tmpdir(), 'orien-mission-'))
  const mission = await interruptible(async (signal): Promise<Mission> => {
    try {
      const report = reportTo(terminal)
      const place = { settings, dataDir, port: 0, hasNode: true, isFresh: false }
      const stack = await startStack({ ...place, report, signal })
      try {
        return await showMission(terminal, { ...missionPlace(stack), saveDir }, signal)
      } finally {
        await stack.stop()
      }
    } finally {
      // Of a mission that broke off; where nothing was kept there may be no node's directory either.
      if (existsSync(pathsIn(dataDir).provider)) await removeKeptWorkspaces(pathsIn(dataDir).provider)
      await rm(dataDir, { recursive: true, force: true })
    }
  })
  terminal.say('stopped')
  // Only now: the line says that all of it worked, the end included.
  printMissionJson(terminal, mission)
  return 0
}
