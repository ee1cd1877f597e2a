import { once } from 'node:events'
import { startNode } from '@orien/provider-node'
import { pino } from 'pino'
import type { Handler } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'

type Options = { dataDir: string; tools?: string; coordinator?: string; rpcUrl?: string }

/** `orien provider start` */
export const startProvider: Handler<Options> = async ({ terminal, settings }, options) =>
  interruptible(async (signal) => {
    const { dataDir, tools, coordinator, rpcUrl = settings.rpcUrl } = options
    const failure = Promise.withResolvers<never>()
    failure.promise.catch(() => undefined)
    const node = await startNode({
      dataDir,
      ...(tools === undefined ? {} : { manifestFile: tools }),
      ...(coordinator === undefined ? {} : { coordinatorUrl: coordinator }),
      ...(rpcUrl === undefined ? {} : { rpcUrl }),
      searchPath: settings.childEnvironment.PATH ?? '',
      onFailure: failure.reject,
      log: pino({ base: null }, pino.destination({ fd: 2, sync: true })),
    })
    try {
      const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort')
      await Promise.race([node.live, stopped, failure.promise])
      if (terminal.isJson) terminal.printJson(node.health())
      else if (!signal.aborted) terminal.print(`${node.providerId} is online`)
      await Promise.race([stopped, failure.promise])
    } finally {
      terminal.say('stopping …')
      await node.stop()
    }
    terminal.say('stopped')
    return 0
  })
