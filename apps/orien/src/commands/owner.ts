import type { Command } from 'commander'
import { type Bind, withExample } from './bind.ts'

type DataDir = readonly [flags: string, description: string, usual: string]

/** Commands by which an owner governs a node while it works. */
export function defineOwnerCommands(provider: Command, bind: Bind, dataDir: DataDir): void {
  const define = (name: string, description: string) =>
    provider
      .command(name)
      .description(description)
      .option(...dataDir)

  const reload = define('reload', 'read the tools file again; what is under way goes on as it was promised')
  bind(withExample(reload, 'orien provider reload'), async () => {
    return (await import('../provider/owner/reload.ts')).reloadProvider
  })

  const drain = define(
    'drain',
    'take no new sessions, let those that are under way finish, and say when they have',
  )
    .option('--undo', 'take sessions again')
    .option('--exit', 'end the node when it has nothing left to do')
    .option('--no-wait', 'return at once')
  bind(withExample(drain, 'orien provider drain --exit'), async () => {
    return (await import('../provider/owner/drain.ts')).drainProvider
  })

  const stop = define(
    'stop',
    'end the node in order, as Ctrl-C does; files of sessions that go on stay for its next start',
  ).option('--for-good', 'remove those files as well')
  bind(withExample(stop, 'orien provider stop'), async () => {
    return (await import('../provider/owner/stop.ts')).stopProvider
  })

  const kill = define(
    'kill',
    'end everything at once, with receipts for what was used; nothing new until `resume`',
  )
  bind(withExample(kill, 'orien provider kill'), async () => {
    return (await import('../provider/owner/kill.ts')).killProvider
  })

  const resume = define('resume', 'take work again after `kill` or `drain`')
  bind(withExample(resume, 'orien provider resume'), async () => {
    return (await import('../provider/owner/kill.ts')).resumeProvider
  })

  const limits = define('limits', 'show or change how much the node takes on at once')
    .option('--max-runs <n>', 'tools at once; none: as many as processors')
    .option('--max-sessions <n>', 'sessions at once; none: no bound')
    .option('--max-session-runs <n>', 'tools of one session at once; none: no bound')
  bind(withExample(limits, 'orien provider limits --max-runs 2 --max-sessions 10'), async () => {
    return (await import('../provider/owner/limits.ts')).providerLimits
  })

  defineLooks(define, bind)
  defineBlocks(provider, bind, dataDir)
}

/** What shows and changes nothing. */
function defineLooks(define: (name: string, description: string) => Command, bind: Bind): void {
  const earnings = define('earnings', 'what this node has earned, and where the money is')
    .option('--by <group>', 'day, tool or session', 'day')
    .option('--since <day>', 'leave out what was before, e.g. 2026-06-01')
    .option('--owner-key-file <file>', "show the coordinator's statement, too, which only the owner may see")
    .option('--coordinator <url>', 'the coordinator (default: the one it was made for)')
  bind(withExample(earnings, 'orien provider earnings --by tool'), async () => {
    return (await import('../provider/earnings.ts')).providerEarnings
  })

  const doctor = define('doctor', 'find what keeps this node from being rented, and say what mends it')
    .option('--tools <file>', 'a tool manifest of your own')
    .option('--coordinator <url>', 'the coordinator (default: the one it was made for)')
    .option('--rpc-url <url>', "the node's own way to the chain (default: the one it was made with)")
    .option('--port <n>', 'of the loopback interface')
  bind(withExample(doctor, 'orien provider doctor'), async () => {
    return (await import('../provider/doctor.ts')).examineProvider
  })
}

function defineBlocks(provider: Command, bind: Bind, dataDir: DataDir): void {
  const payers = ['<payer...>', 'addresses of wallets, as in `orien provider status --json`'] as const
  const example = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'

  const block = provider
    .command('block')
    .argument(...payers)
    .description('refuse the work that a wallet pays for')
  bind(withExample(block.option(...dataDir), `orien provider block ${example}`), async () => {
    return (await import('../provider/owner/blocks.ts')).blockPayers
  })

  const unblock = provider
    .command('unblock')
    .argument(...payers)
    .description('serve a wallet again')
  bind(withExample(unblock.option(...dataDir), `orien provider unblock ${example}`), async () => {
    return (await import('../provider/owner/blocks.ts')).unblockPayers
  })

  const blocks = provider.command('blocks').description('list the wallets that are refused')
  bind(withExample(blocks.option(...dataDir), 'orien provider blocks'), async () => {
    return (await import('../provider/owner/blocks.ts')).listBlocks
  })
}
