import { LIMITS, OrienError } from '@orien/protocol'
import { rpcUrls } from '@orien/rails'
import { z } from 'zod'
import { RELAY_LIMITS, type RelayLimits } from './relayer/limits.ts'

/** Where the coordinator's files are, what it listens on and how it behaves. */
export type Config = {
  host: string
  /** 0 takes a free one, which `baseUrl` then names. */
  port: number
  /** The address that agents see; sign-in messages name it. */
  baseUrl: string
  /** The names that nodes may know this coordinator by; by `baseUrl` and their own `Host` when absent. */
  publicHosts?: readonly string[] | undefined
  dataDir: string
  /** Development mode: `POST /api/init` hands out local USDC. */
  isProduction: boolean
  /** Requests of one caller a minute. */
  requestsPerMinute: number
  /** How long a run may stay unreported beyond its deadline. */
  leaseMs: number
  /** Silence after which a provider counts as gone, and agents get their money back; a minute and a half when absent. */
  providerGoneMs?: number | undefined
  /** After how long without a run a session ends by itself; six hours when absent. */
  sessionIdleMs?: number | undefined
  /** How much gas is lent; none is bounded where null. When absent, as `RELAY_LIMITS` says on a chain whose gas is worth something. */
  relayLimits?: RelayLimits | null | undefined
  /** How often the chain is asked for what others did to channels; five seconds when absent. */
  channelLookMs?: number | undefined
  /** How often the sweeps run. */
  sweepEveryMs: number
  logLevel: string
  /** Base address of an OTLP/HTTP receiver; without one nothing is traced. */
  tracesEndpoint?: string | undefined
  version: string
}

const environment = z.object({
  ORIEN_ENV: z.enum(['production', 'development']).default('development'),
  ORIEN_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  ORIEN_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).default(6_000),
  ORIEN_PUBLIC_HOSTS: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .optional(),
  DATABASE_URL: z.string().optional(),
  ORIEN_CHAIN: z.enum(['local', 'arc', 'arc-testnet', 'evm']).default('local'),
  ORIEN_CHAIN_ID: z.coerce.number().int().min(1).optional(),
  ORIEN_CHAIN_NAME: z.string().min(1).max(40).optional(),
  ORIEN_FINALITY: z
    .union([z.literal('finalized'), z.coerce.number().int().min(1).max(10_000)], {
      error: 'must be finalized, or a number of blocks from 1 to 10000',
    })
    .optional(),
  /** What one unit of gas may cost at most. */
  ORIEN_MAX_FEE_GWEI: z.coerce.number().int().min(1).max(1_000_000).optional(),
  ORIEN_NATIVE_DECIMALS: z.coerce.number().int().min(0).max(36).optional(),
  /** One or several, with commas between them. */
  ORIEN_RPC_URL: z
    .string()
    .refine(
      (list) => rpcUrls(list).length > 0 && rpcUrls(list).every((url) => URL.canParse(url)),
      'must be URLs',
    )
    .optional(),
  ORIEN_SESSION_IDLE_MINUTES: z.coerce.number().int().min(1).max(525_600).optional(),
  ORIEN_RELAY_PAYER_GAS: z.coerce.bigint().min(0n).optional(),
  ORIEN_RELAY_GIFTED_GAS: z.coerce.bigint().min(0n).optional(),
  ORIEN_RELAY_NEWCOMERS_GAS: z.coerce.bigint().min(0n).optional(),
  ORIEN_RELAY_SELF_PAYING_MICROS: z.coerce.bigint().min(1n).optional(),
  ORIEN_MINIMUM_DEPOSIT_MICROS: z.coerce.bigint().min(LIMITS.minimumDepositMicros).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
})

/** What the environment says; everything else comes from the command line. */
export type Environment = z.output<typeof environment>

/**
 * Reads the environment once.
 *
 * @throws OrienError `validation_failed` naming the variable that is wrong
 */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const parsed = environment.safeParse(env)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message }))
  throw new OrienError(
    'validation_failed',
    `The environment is not usable: ${issues[0]?.path} ${issues[0]?.message}`,
    { issues },
  )
}

/** After how long without a run a session ends, by the environment; undefined where it says nothing. */
export function sessionIdleMsOf({ ORIEN_SESSION_IDLE_MINUTES: minutes }: Environment): number | undefined {
  return minutes === undefined ? undefined : minutes * 60_000
}

/** How much gas is lent, by the environment; undefined where it says nothing. */
export function relayLimitsOf(environment: Environment): RelayLimits | undefined {
  const {
    ORIEN_RELAY_PAYER_GAS: payerDailyGas,
    ORIEN_RELAY_GIFTED_GAS: giftedDailyGas,
    ORIEN_RELAY_NEWCOMERS_GAS: newcomersDailyGas,
    ORIEN_RELAY_SELF_PAYING_MICROS: selfPayingMicros,
    ORIEN_MINIMUM_DEPOSIT_MICROS: minimumDepositMicros,
  } = environment
  const told = {
    ...{ payerDailyGas, giftedDailyGas, newcomersDailyGas },
    ...{ selfPayingMicros, minimumDepositMicros },
  }
  const set = Object.entries(told).filter(([, value]) => value !== undefined)
  return set.length === 0 ? undefined : { ...RELAY_LIMITS, ...Object.fromEntries(set) }
}
