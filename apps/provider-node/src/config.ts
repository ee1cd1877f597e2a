import { parseArgs } from 'node:util'
import { OrienError, parseUsdc, type UsdcMicros } from '@orien/protocol'
import type { RuleLimits } from './rules/ruleBook.ts'
import { DRIVER_NAMES, type DriverName, type SandboxMode } from './sandbox/driver.ts'

/** What the node is started with: command line first, then environment, then the provider's file. */
export type Config = {
  dataDir: string
  standalone: boolean
  allowUnisolated: boolean
  port: number
  manifestFile?: string
  coordinatorUrl?: string
  rpcUrl?: string
  searchPath?: string
  concurrency?: number
  /** Kept like any decision of the owner: they are in force until others are given. */
  limits: RuleLimits
  /** Where traces go; `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  tracesEndpoint?: string
  /** After how long a silence of the coordinator the node claims by itself. */
  claimAfterMinutes?: number
  /** For how long something may be earned and not claimed. */
  claimEveryMinutes?: number
  /** How much may be earned and not claimed. */
  unclaimedMicros?: UsdcMicros
  sandboxMode?: SandboxMode
  /** Bubblewrap unless told. */
  driverName?: DriverName
  /** Docker's own unless told. */
  engineSocket?: string
  logLevel: string
  /** Standard output unless told; put aside when it is full. */
  logFile?: string
}

/** A year: as good as never. */
const MOST_MINUTES = 525_600

const OPTIONS = {
  'data-dir': { type: 'string' },
  tools: { type: 'string' },
  coordinator: { type: 'string' },
  'rpc-url': { type: 'string' },
  port: { type: 'string' },
  concurrency: { type: 'string' },
  'log-file': { type: 'string' },
  'max-runs': { type: 'string' },
  'max-sessions': { type: 'string' },
  'max-session-runs': { type: 'string' },
  'sandbox-mode': { type: 'string' },
  driver: { type: 'string' },
  'engine-socket': { type: 'string' },
  'claim-after': { type: 'string' },
  'claim-every': { type: 'string' },
  'claim-above': { type: 'string' },
  standalone: { type: 'boolean' },
  'allow-unisolated': { type: 'boolean' },
} as const

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false }).values
  } catch (cause) {
    throw new OrienError(
      'validation_failed',
      cause instanceof Error ? cause.message : undefined,
      {},
      { cause },
    )
  }
}

function wholeNumber(
  name: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new OrienError('validation_failed', `${name} must be a whole number from ${least} to ${most}`)
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** What was given; an empty variable of the environment counts as absent. */
const present = <T extends object>(given: T): Present<T> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value)) as Present<T>

const SANDBOX_MODES: readonly SandboxMode[] = ['cold', 'warm', 'resident']

function usdc(option: string, text: string | undefined): UsdcMicros | undefined {
  if (text === undefined) return undefined
  try {
    return parseUsdc(text)
  } catch (cause) {
    throw new OrienError('validation_failed', `${option} is an amount of USDC: 0.50`, {}, { cause })
  }
}

function oneOf<T extends string>(
  option: string,
  known: readonly T[],
  text: string | undefined,
): T | undefined {
  if (text === undefined) return undefined
  const value = known.find((name) => name === text)
  if (value) return value
  throw new OrienError('validation_failed', `${option} must be one of ${known.join(', ')}`)
}

/**
 * Reads command line and environment; no other file of the node looks at either.
 *
 * @throws OrienError `validation_failed`
 */
export function readConfig(
  args: readonly string[] = process.argv.slice(2),
  env: NodeJS.ProcessEnv = process.env,
): Config {
  const values = readArguments(args)
  const dataDir = values['data-dir'] ?? env.ORIEN_PROVIDER_DIR
  if (!dataDir) throw new OrienError('validation_failed', '--data-dir is missing')
  const given = {
    manifestFile: values.tools ?? env.ORIEN_TOOLS,
    coordinatorUrl: values.coordinator ?? env.ORIEN_URL,
    rpcUrl: values['rpc-url'] ?? env.ORIEN_RPC_URL,
    searchPath: env.PATH,
    logFile: values['log-file'] ?? env.ORIEN_LOG_FILE,
    tracesEndpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
    claimAfterMinutes: wholeNumber(
      '--claim-after',
      values['claim-after'] ?? env.ORIEN_CLAIM_AFTER_MINUTES,
      1,
      MOST_MINUTES,
    ),
    claimEveryMinutes: wholeNumber(
      '--claim-every',
      values['claim-every'] ?? env.ORIEN_CLAIM_EVERY_MINUTES,
      1,
      MOST_MINUTES,
    ),
    unclaimedMicros: usdc('--claim-above', values['claim-above'] ?? env.ORIEN_CLAIM_ABOVE),
    concurrency: wholeNumber('--concurrency', values.concurrency, 1, 1_024),
    sandboxMode: oneOf('--sandbox-mode', SANDBOX_MODES, values['sandbox-mode'] ?? env.ORIEN_SANDBOX_MODE),
    driverName: oneOf('--driver', DRIVER_NAMES, values.driver ?? env.ORIEN_SANDBOX_DRIVER),
    engineSocket: values['engine-socket'] ?? env.ORIEN_ENGINE_SOCKET,
  }
  return {
    dataDir,
    standalone: values.standalone ?? false,
    allowUnisolated: values['allow-unisolated'] ?? false,
    limits: present({
      maxRuns: wholeNumber('--max-runs', values['max-runs'], 1, 1_024),
      maxSessions: wholeNumber('--max-sessions', values['max-sessions'], 1, 10_000),
      maxSessionRuns: wholeNumber('--max-session-runs', values['max-session-runs'], 1, 1_024),
    }),
    port: wholeNumber('--port', values.port ?? env.ORIEN_NODE_PORT, 0, 65_535) ?? 0,
    logLevel: env.ORIEN_LOG_LEVEL ?? 'info',
    ...present(given),
  }
}
