import { type Command, InvalidArgumentError } from 'commander'
import { type Bind, withAgent, withExample } from './bind.ts'

function port(text: string): number {
  const value = Number(text)
  if (/^\d{1,5}$/.test(text) && value <= 65_535) return value
  throw new InvalidArgumentError('must be a port between 0 and 65535 (0 takes a free one).')
}

const ENVIRONMENT = `
Environment:
  DATABASE_URL            a PostgreSQL to use instead of the embedded one
  ORIEN_CHAIN             local (default), arc, arc-testnet, or evm for any other chain
  ORIEN_RPC_URL           the chain's endpoint
  ORIEN_CHAIN_ID          of an evm chain, and ORIEN_CHAIN_NAME for people
  ORIEN_FINALITY          of an evm chain: finalized (default), or a number of blocks
  ORIEN_NATIVE_DECIMALS   of an evm chain's coin, 18 unless told
  ORIEN_MAX_FEE_GWEI      what a unit of gas may cost at most: 500 on Arc, 200 elsewhere
  ORIEN_ESCROW            the escrow contract, where none was deployed: orien chain deploy
  ORIEN_TOKEN             its USDC, where the chain's own is not meant
  ORIEN_RELAYER_KEY_FILE  the wallet that pays gas, on a chain that is not local
  ORIEN_SESSION_IDLE_MINUTES  after so many a session without a run ends, 360
  ORIEN_RELAY_GIFTED_GAS  gas that is given a day to agents that have paid for none yet; nothing unless told
  ORIEN_ENV               development (default) or production
  ORIEN_LOG_LEVEL         of the log files in the data directory`

/** Commands that bring ORIEN up, or show it at work. */
export function defineStackCommands(program: Command, bind: Bind): void {
  const up = program
    .command('up')
    .description('bring up the whole stack: database, chain, coordinator and one provider node')
    .option('--mission', 'run the demo mission once everything is there')
    .option('--port <port>', 'where the coordinator listens on this machine', port, 3000)
    .option('--data-dir <dir>', 'where everything is kept', '.orien')
    .option('--no-node', 'without a provider node')
    .option('--fresh', 'put what is in the data directory aside and begin anew')
  up.addHelpText('after', ENVIRONMENT)
  bind(withExample(up, 'orien up --mission\norien up --port 3100 --data-dir /tmp/orien'), async () => {
    return (await import('../compose/up.ts')).up
  })

  const demo = program
    .command('demo')
    .description('run the demo mission against a stack that is up')
    .option('--data-dir <dir>', 'where the picture and the bill are saved', '.orien')
  bind(
    withExample(withAgent(demo), 'orien demo\norien demo --coordinator http://localhost:3100'),
    async () => {
      return (await import('../mission/demo.ts')).demo
    },
  )

  const mission = program
    .command('mission')
    .description('bring up a stack of its own, run one mission, verify its bill and stop everything')
    .option('--data-dir <dir>', 'where the picture and the bill are saved', '.orien')
  bind(withExample(mission, 'orien mission\norien mission --json | tail -n 1'), async () => {
    return (await import('../compose/missionCommand.ts')).missionCommand
  })

  const reconcile = program
    .command('reconcile')
    .description('audit the ledger, and compare it with what the chain paid; ends with 1 on drift')
    .option('--data-dir <dir>', 'of the stack (unless DATABASE_URL is set)', '.orien')
    .option('--rpc-url <url>', 'of the chain (default: ORIEN_RPC_URL, or the running stack)')
  bind(
    withExample(reconcile, 'orien reconcile\nDATABASE_URL=postgres://… orien reconcile --json'),
    async () => {
      return (await import('../operator/reconcile.ts')).reconcile
    },
  )

  const refunds = program
    .command('refunds')
    .description('show what the reserve owes agents; with the key of its account, pay it, each refund once')
    .option('--data-dir <dir>', 'of the stack (unless DATABASE_URL is set)', '.orien')
    .option('--rpc-url <url>', 'of the chain (default: ORIEN_RPC_URL, or the running stack)')
    .option('--reserve-key-file <file>', "of the reserve's account; without it nothing is paid")
    .option('--gas-key-file <file>', 'a wallet that pays the gas instead')
  bind(withExample(refunds, 'orien refunds\norien refunds --reserve-key-file reserve.key'), async () => {
    return (await import('../operator/refunds.ts')).payRefunds
  })
}
