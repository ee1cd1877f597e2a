import type { Command } from 'commander'
import { type Bind, withExample } from './bind.ts'

const GAS = [
  '--gas-key-file <file>',
  'a wallet that pays the gas instead; it gets nothing and decides nothing',
] as const

/** The ways out for both sides, which ask no coordinator anything. */
export function defineExitCommands(program: Command, bind: Bind): void {
  const exit = program
    .command('exit')
    .argument(
      '[session]',
      'a session, a bill or a kept channel; all that is kept for the wallet when none is named',
    )
    .description('take unspent money back without the coordinator; run it again after the grace period')
    .option(
      '--key-file <file>',
      "the agent's wallet or session key (default: ORIEN_KEY_FILE or ~/.orien/agent.key)",
    )
    .option(...GAS)
    .option('--rpc-url <url>', 'of the chain (default: ORIEN_RPC_URL)')
    .option('--escrow <address>', 'search this contract for all channels of the wallet, when no file is left')
    .option('--status', 'only say where the money is')
    .option('--wait', 'stay until everything is withdrawn')
  const example = [
    'orien exit --rpc-url http://127.0.0.1:8545 --wait',
    'orien exit bill.json --key-file session.key --gas-key-file gas.key --rpc-url http://127.0.0.1:8545',
  ].join('\n')
  bind(withExample(exit, example), async () => (await import('../exits/exit.ts')).exit)

  const claim = program
    .command('claim')
    .argument('[bill]', "a bill, instead of a node's directory")
    .description('be paid for what was earned without the coordinator: closes every channel at its receipts')
    .option('--data-dir <dir>', 'where the node keeps its keys and its journal', '.orien/provider')
    .option('--key-file <file>', "the owner's or the operator's key (default: the node's operator key)")
    .option(...GAS)
    .option('--rpc-url <url>', 'of the chain (default: ORIEN_RPC_URL, or what the node was made with)')
    .option('--status', 'only say what can be claimed')
  bind(
    withExample(
      claim,
      'orien claim --status\norien claim --rpc-url http://127.0.0.1:8545 --gas-key-file gas.key',
    ),
    async () => (await import('../exits/claim.ts')).claim,
  )
}
