import { setTimeout as pause } from 'node:timers/promises'
import { OrienError } from '@orien/protocol'
import { lockHolder } from '@orien/provider-node'

const LOOK_MS = 20

/**
 * Waits until nobody holds a data directory any more.
 *
 * @throws OrienError `node_unreachable`
 */
export async function untilEnded(dataDir: string, pid: number, patienceMs: number): Promise<void> {
  for (let leftMs = patienceMs; (await lockHolder(dataDir)) === pid; leftMs -= LOOK_MS) {
    if (leftMs <= 0)
      throw new OrienError('node_unreachable', `the process ${pid} does not end`, {
        hint: 'orien provider kill ends a node that does not answer.',
      })
    await pause(LOOK_MS)
  }
}
