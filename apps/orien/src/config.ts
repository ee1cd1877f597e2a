import { homedir } from 'node:os'
import { join } from 'node:path'

/** What the environment says. Options of the command line come before it. */
export type Settings = {
  /** `ORIEN_URL` */
  coordinatorUrl: string
  /** Of the agent's wallet. `ORIEN_KEY_FILE` */
  keyFile: string
  /** Caps in USDC that no command of the agent goes beyond. `ORIEN_MAX_PER_CALL`, `…_SESSION`, `…_DAY` */
  caps: { perCall: string | undefined; perSession: string | undefined; perDay: string | undefined }
  /** `ORIEN_RPC_URL` */
  rpcUrl: string | undefined
  /** `DATABASE_URL` */
  databaseUrl: string | undefined
  /** On chains where it is not deployed at start. `ORIEN_ESCROW` */
  escrow: string | undefined
  /** `ORIEN_TOKEN`, where the chain's profile names none. */
  token: string | undefined
  /** Of the wallet that pays gas. `ORIEN_RELAYER_KEY_FILE` */
  relayerKeyFile: string | undefined
  /** `NO_COLOR` and `FORCE_COLOR`; https://no-color.org */
  colours: 'auto' | 'never' | 'always'
  /** Shows stacks. `ORIEN_DEBUG` */
  isDebug: boolean
  /** What a child process is given of this environment: where programs are and how text is written, no secrets. */
  childEnvironment: Readonly<Record<string, string>>
}

const PASSED_ON = [
  ...['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'],
  'OTEL_EXPORTER_OTLP_ENDPOINT',
] as const

/** Reads the environment. An empty variable counts as absent. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const read = (name: string) => env[name] || undefined
  return {
    coordinatorUrl: read('ORIEN_URL') ?? 'http://localhost:3000',
    keyFile: read('ORIEN_KEY_FILE') ?? join(homedir(), '.orien', 'agent.key'),
    caps: {
      perCall: read('ORIEN_MAX_PER_CALL'),
      perSession: read('ORIEN_MAX_PER_SESSION'),
      perDay: read('ORIEN_MAX_PER_DAY'),
    },
    rpcUrl: read('ORIEN_RPC_URL'),
    databaseUrl: read('DATABASE_URL'),
    escrow: read('ORIEN_ESCROW'),
    token: read('ORIEN_TOKEN'),
    relayerKeyFile: read('ORIEN_RELAYER_KEY_FILE'),
    colours: read('NO_COLOR') ? 'never' : read('FORCE_COLOR') ? 'always' : 'auto',
    isDebug: read('ORIEN_DEBUG') !== undefined,
    childEnvironment: Object.fromEntries(
      PASSED_ON.flatMap((name) => {
        const value = read(name)
        return value === undefined ? [] : [[name, value]]
      }),
    ),
  }
}
