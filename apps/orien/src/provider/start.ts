import { once } from 'node:events'
import { countKeptWorkspaces, openLogFile, type RunningNode, startNode } from '@orien/provider-node'
import { type DestinationStream, pino } from 'pino'
import { readUsdc } from '../agent/amount.ts'
import type { Handler } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { keptText } from './keptText.ts'
import { logLines } from './logLines.ts'
import { changeOf, type LimitOptions } from './owner/limits.ts'
import { modeText } from './statusLines.ts'

type Options = LimitOptions & {
  dataDir: string
  tools?: string
  logFile?: string
  coordinator?: string
  rpcUrl?: string
  claimAfter?: string
  claimAbove?: string
  claimEvery?: string
}

/** A file and a program are given JSON, a person at a terminal is given sentences. */
function logTo(terminal: Terminal, logFile: string | undefined): DestinationStream {
  if (logFile !== undefined) return openLogFile(logFile)
  return terminal.isLive && !terminal.isJson ? logLines(terminal) : pino.destination({ fd: 2, sync: true })
}

/** A year: as good as never. */
const MOST_MINUTES = 525_600

/** `orien provider start` */
export const startProvider: Handler<Options> = async ({ terminal, settings }, options) =>
  interruptible(
    async (signal) => {
      const { dataDir, tools, coordinator, rpcUrl = settings.rpcUrl } = options
      const unclaimedMicros = readUsdc('--claim-above', options.claimAbove)
      const failure = Promise.withResolvers<never>()
      failure.promise.catch(() => undefined)
      const drained = Promise.withResolvers<void>()
      const log = pino({ base: null }, logTo(terminal, options.logFile))
      const node = await startNode({
        dataDir,
        ...(tools === undefined ? {} : { manifestFile: tools }),
        ...(coordinator === undefined ? {} : { coordinatorUrl: coordinator }),
        ...(rpcUrl === undefined ? {} : { rpcUrl }),
        timing: timingOf(options),
        ...(unclaimedMicros === undefined ? {} : { unclaimedMicros }),
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
        const { mode } = node.rules()
        if (mode !== 'open') terminal.say(modeText(mode))
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

function timingOf({ claimAfter, claimEvery }: Options): { claimSilenceMs?: number; claimEveryMs?: number } {
  const [claimSilenceMs, claimEveryMs] = [
    minutesOf('--claim-after', claimAfter),
    minutesOf('--claim-every', claimEvery),
  ]
  return {
    ...(claimSilenceMs === undefined ? {} : { claimSilenceMs }),
    ...(claimEveryMs === undefined ? {} : { claimEveryMs }),
  }
}

function minutesOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const minutes = Number(text)
  if (Number.isInteger(minutes) && minutes >= 1 && minutes <= MOST_MINUTES) return minutes * 60_000
  throw wrongUse(`${option} is a whole number of minutes from 1 to ${MOST_MINUTES}`)
}

function reloadOnHangUp(node: RunningNode, onFailure: (error: unknown) => void): () => void {
  if (process.stdin.isTTY) return () => {}
  const reload = () => void node.reloadTools().catch(onFailure)
  process.on('SIGHUP', reload)
  return () => void process.off('SIGHUP', reload)
}
