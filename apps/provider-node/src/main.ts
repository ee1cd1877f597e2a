import { OrienError } from '@orien/protocol'
import { secp256k1Engine } from '@orien/sdk'
import { type Logger, pino } from 'pino'
import { type Config, readConfig } from './config.ts'
import { openLogFile } from './logFile.ts'
import { startNode } from './node/startNode.ts'
import { startStandalone } from './node/startStandalone.ts'

type Stoppable = { apiUrl: string; stop(): Promise<void>; reloadTools?: () => Promise<object> }

/** What a log line may hold of an error: never the cause's own fields, which can carry a request with its secrets. */
function describe(error: unknown): object {
  if (error instanceof OrienError) return { code: error.code, detail: error.message, ...error.facts }
  return error instanceof Error ? { detail: error.message, stack: error.stack } : { detail: 'unknown' }
}

function createLog(level: string, file?: string): Logger {
  const timestamp = pino.stdTimeFunctions.isoTime
  const options = { level, base: null, serializers: { err: describe }, timestamp }
  return file === undefined ? pino(options) : pino(options, openLogFile(file))
}

async function start(config: Config, log: Logger, onDrained: () => void): Promise<Stoppable> {
  if (config.standalone) return startStandalone({ ...config, log })
  const { claimAfterMinutes, claimEveryMinutes } = config
  const timing = {
    ...(claimAfterMinutes === undefined ? {} : { claimSilenceMs: claimAfterMinutes * 60_000 }),
    ...(claimEveryMinutes === undefined ? {} : { claimEveryMs: claimEveryMinutes * 60_000 }),
  }
  const node = await startNode({ ...config, timing, log, onDrained, onFailure: () => process.exit(1) })
  node.live.then(
    () => log.info({ event: 'node.live', providerId: node.providerId }),
    (error: unknown) => log.error({ event: 'node.refused', err: error }),
  )
  return node
}

async function main(): Promise<void> {
  let log = createLog('info')
  try {
    const config = readConfig()
    log = createLog(config.logLevel, config.logFile)
    const node = await start(config, log, () => stop('drained'))
    log.info({
      event: 'node.started',
      apiUrl: node.apiUrl,
      standalone: config.standalone,
      signatures: secp256k1Engine,
    })
    let isStopping = false
    function stop(signal: string): void {
      if (isStopping) return
      isStopping = true
      log.info({ event: 'node.stopping', signal })
      node.stop().then(
        () => log.info({ event: 'node.stopped' }),
        (error: unknown) => {
          log.error({ event: 'node.stop_failed', err: error })
          process.exitCode = 1
        },
      )
    }
    // A service manager's word for `read your configuration again`; the offering tells what came of it.
    process.on('SIGHUP', () => {
      node.reloadTools?.().catch((err: unknown) => log.error({ event: 'tools.unreloaded', err }))
    })
    process.on('SIGTERM', () => stop('SIGTERM'))
    process.on('SIGINT', () => stop('SIGINT'))
  } catch (error) {
    log.fatal({ event: 'node.unstartable', err: error })
    process.exitCode = 1
  }
}

await main()
