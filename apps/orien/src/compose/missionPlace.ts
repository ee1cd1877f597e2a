import type { MissionPlace } from '../mission/mission.ts'
import type { Stack } from './stack.ts'

/** The stack as its own demo mission sees it. */
export function missionPlace({ url, provider, coordinatorKey, dir }: Stack): MissionPlace {
  return { url, providerId: provider?.id, coordinatorKey, saveDir: dir.missions }
}
