import { once } from 'node:events'
import type { Handler } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { missionPlace } from './missionPlace.ts'
import { reportTo } from './report.ts'

type Options = { mission?: boolean; port: number; dataDir: string; node: boolean; fresh?: boolean }

/** Where wallets and tools expect a local chain. */
const USUAL_CHAIN_PORT = 8545

/** `orien up` */
export const up: Handler<Options> = async (shell, options) => {
  const { terminal, settings } = shell
  if (options.mission && !options.node) throw wrongUse('A mission needs the node', 'Leave --no-node out.')
  return interruptible(async (signal) => {
    terminal.say(terminal.err.bold('ORIEN'))
    // Loaded after the first line: it is most of ORIEN, and a person should see that something happens.
    const { startStack } = await import('./stack.ts')
    const { showMission } = await import('../mission/showMission.ts')
    const stack = await startStack({
      settings,
      dataDir: options.dataDir,
      port: options.port,
      chainPort: USUAL_CHAIN_PORT,
      hasNode: options.node,
      isFresh: options.fresh === true,
      report: reportTo(terminal),
      signal,
    })
    try {
      if (options.mission) await showMission(terminal, missionPlace(stack), signal)
      const { url, rpcUrl, provider, dir } = stack
      if (terminal.isJson)
        terminal.printJson({ url, rpcUrl, providerId: provider?.id ?? null, dataDir: dir.root })
      else terminal.print(`orien ready ${url}`)
      if (!signal.aborted) await once(signal, 'abort')
      terminal.say('stopping …')
    } finally {
      await stack.stop()
    }
    terminal.say('stopped')
    return 0
  })
}
