import type { Command } from 'commander'
import { type Bind, withExample } from './bind.ts'

const DATA_DIR = [
  '--data-dir <dir>',
  'where the node keeps its keys and its journal',
  '.orien/provider',
] as const

/** Commands of those who own a machine. */
export function defineProviderCommands(program: Command, bind: Bind): void {
  const provider = program
    .command('provider')
    .description('offer this machine')
    .addHelpText('after', '\nExample:\n  orien provider init && orien provider start')

  const init = provider
    .command('init')
    .description('make a node: its keys, and the signatures of its owner; asks for what is not given')
    .option(...DATA_DIR)
    .option('--name <name>', 'how it is called in the marketplace')
    .option('--rate <usdc>', 'USDC for an effective minute')
    .option('--owner-key-file <file>', "the owner's wallet: signs now, is paid later, is not kept here")
    .option('--new-owner <file>', 'make a wallet for the owner in a new file, mode 0600')
    .option('--coordinator <url>', 'the coordinator (default: ORIEN_URL or http://localhost:3000)')
    .option('--rpc-url <url>', "the node's own way to the chain (default: ORIEN_RPC_URL)")
  const example = 'orien provider init --name "My workstation" --rate 0.60 --new-owner ~/owner.key'
  bind(withExample(init, example), async () => (await import('../provider/init.ts')).initProvider)

  const start = provider
    .command('start')
    .description('run the node until it is stopped')
    .option(...DATA_DIR)
    .option('--tools <file>', 'a tool manifest of your own')
    .option('--coordinator <url>', 'the coordinator (default: the one it was made for)')
    .option('--rpc-url <url>', "the node's own way to the chain (default: the one it was made with)")
  bind(withExample(start, 'orien provider start'), async () => {
    return (await import('../provider/start.ts')).startProvider
  })

  const status = provider
    .command('status')
    .description('who this node is, and how the coordinator sees it')
    .option(...DATA_DIR)
    .option('--coordinator <url>', 'the coordinator (default: the one it was made for)')
  bind(withExample(status, 'orien provider status'), async () => {
    return (await import('../provider/status.ts')).providerStatus
  })

  const tools = provider
    .command('tools')
    .argument('[manifest]', 'a tool manifest; the tools that come with the node when none is given')
    .description('check a tool manifest on this machine and list its tools')
  bind(withExample(tools, 'orien provider tools\norien provider tools orien.tools.yaml'), async () => {
    return (await import('../provider/tools.ts')).checkTools
  })
}
