import type { Command } from 'commander'
import { type Bind, withExample } from './bind.ts'

/** Commands by which an operator prepares a chain for a coordinator. */
export function defineChainCommands(program: Command, bind: Bind): void {
  const chain = program
    .command('chain')
    .description('prepare the chain that sessions settle on')
    .addHelpText('after', '\nExample:\n  ORIEN_CHAIN=arc-testnet orien chain check')
  const define = (name: string, description: string) =>
    chain
      .command(name)
      .description(description)
      .option('--data-dir <dir>', 'of the coordinator', '.orien')
      .option('--rpc-url <url>', "the chain's endpoint (default: ORIEN_RPC_URL, or the chain's public one)")

  const check = define('check', 'look whether money can be handled on the chain; sends nothing')
  bind(withExample(check, 'orien chain check\nORIEN_CHAIN=arc orien chain check --json'), async () => {
    return (await import('../chain/check.ts')).checkConfiguredChain
  })

  const deploy = define('deploy', 'deploy the escrow contract, once, and record it for the coordinator')
    .requiredOption('--platform <address>', 'receives 7 % of every payout, for good')
    .requiredOption('--reserve <address>', 'receives 3 % of every payout, for good')
    .option('--close-grace <seconds>', 'from a request to close to the refund', '900')
  const example = 'ORIEN_CHAIN=arc-testnet orien chain deploy --platform 0x… --reserve 0x…'
  bind(withExample(deploy, example), async () => (await import('../chain/deploy.ts')).deployToChain)
}
