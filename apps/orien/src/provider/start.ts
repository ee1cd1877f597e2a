import { once } from 'node:events'
import { countKeptWorkspaces, openLogFile, type RunningNode, startNode } from '@orien/provider-node'
import { pino } from 'pino'
import type { Handler } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { keptText } from './keptText.ts'
import { changeOf, type LimitOptions } from './owner/limits.ts'

type Options = LimitOptions & {
  dataDir: string
  tools?: string
  logFile?: string
  coordinator?: string
  rpcUrl?: string
}

/** `orien provider start` */
export const startProvider: Handler<Options> = async ({ terminal, settings }, options) =>
  interruptible(
    async (signal) => {
      const { dataDir, tools, coordinator, rpcUrl = settings.rpcUrl } = options
      const failure = Promise.withResolvers<never>()
      failure.promise.catch(() => undefined)
      const drained = Promise.withResolvers<void>()
      const { logFile } = options
      const log = pino(
        { base: null },
        logFile === undefined ? pino.destination({ fd: 2, sync: true }) : openLogFile(logFile),
      )
      const node = await startNode({
        dataDir,
        ...(tools === undefined ? {} : { manifestFile: tools }),
        ...(coordinator === undefined ? {} : { coordinatorUrl: coordinator }),
        ...(rpcUrl === undefined ? {} : { rpcUrl }),
        limits: changeOf(options),
        searchPath: settings.childEnvironment.PATH ?? '',
        onFailure: failure.reject,
        onDrained: drained.resolve,
        log,
      })
      const stopReloading = reloadOnHangUp(node, (err) => log.error({ event: 'tools.unreloaded', err }))
      try {
        const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort')
        const ended = Promise.race([stopped, drained.promise, failure.promise])
        await Promise.race([node.live, ended])
        if (terminal.isJson) terminal.printJson(node.health())
        else if (!signal.aborted) terminal.print(`${node.providerId} is online`)
        await ended
      } finally {
        stopReloading()
        terminal.say('stopping …')
        await node.stop()
      }
      const kept = await countKeptWorkspaces(dataDir)
      terminal.say(kept === 0 ? 'stopped' : `stopped; ${keptText(kept)}`)
      return 0
    },
    // Where a terminal hangs up the node ends with it; a service manager means: read your files again.
    process.stdin.isTTY ? undefined : ['SIGINT', 'SIGTERM'],
  )

function reloadOnHangUp(node: RunningNode, onFailure: (error: unknown) => void): () => void {
  if (process.stdin.isTTY) return () => {}
  const reload = () => void node.reloadTools().catch(onFailure)
  process.on('SIGHUP', reload)
  return () => void process.off('SIGHUP', reload)
}
