import type { Command } from 'commander'
import { type Bind, withAgent, withExample } from './bind.ts'

/** Commands of agents: find, run, pay, check. */
export function defineAgentCommands(program: Command, bind: Bind): void {
  const providers = program
    .command('providers')
    .description('list providers, their tools and prices')
    .option('--tool <tool>', 'only those that offer it')
    .option('--max-rate <usdc>', 'at most this many USDC for an effective minute')
    .option('--online', 'only those that are online')
    .option('--coordinator <url>', 'the coordinator (default: ORIEN_URL or http://localhost:3000)')
  bind(withExample(providers, 'orien providers --tool render_scene --max-rate 0.8 --online'), async () => {
    return (await import('../agent/providers.ts')).listProviders
  })
  defineSession(program, bind)
  defineRun(program, bind)

  const bill = program
    .command('bill')
    .argument('<session>', 'its id')
    .description("show a session's bill, or save it for `orien verify`")
    .option('--out <file>', 'save the bill in its canonical form')
  bind(withExample(withAgent(bill), 'orien bill ses_… --out bill.json'), async () => {
    return (await import('../agent/bill.ts')).showBill
  })

  const verify = program
    .command('verify')
    .argument('<bill>', 'a file made by `orien bill --out`; - reads stdin')
    .description('recompute a bill, line by line; needs no coordinator')
    .option('--rpc-url <url>', 'check it against the chain (default: ORIEN_RPC_URL)')
    .option('--coordinator-key <key>', 'the coordinator key that you expect, base64url')
    .option('--escrow <address>', 'the escrow contract that you expect')
  bind(withExample(verify, 'orien verify bill.json --rpc-url http://127.0.0.1:8545'), async () => {
    return (await import('../agent/verify.ts')).verifyBillFile
  })

  const wallet = program
    .command('wallet')
    .description("show the agent's wallet and what it holds")
    .option('--fund [usdc]', 'on a local chain: give it this many USDC (100 when none is named)')
    .option(
      '--rpc-url <url>',
      'of the chain (default: ORIEN_RPC_URL, or what a development coordinator says)',
    )
  bind(withExample(withAgent(wallet), 'orien wallet --fund 5'), async () => {
    return (await import('../agent/wallet.ts')).showWallet
  })
}

function defineSession(program: Command, bind: Bind): void {
  const session = program
    .command('session')
    .description('open, look at and end sessions')
    .addHelpText('after', '\nExample:\n  orien session open prv_… --budget 0.50')

  const open = session
    .command('open')
    .argument('<provider>', 'id, or name when only one has it')
    .description('open a session with a budget; the rest comes back at the end')
    .requiredOption('--budget <usdc>', 'what may be spent at most')
    .option('--max-rate <usdc>', 'refuse a higher price for an effective minute')
    .option('--step <usdc>', 'pay for runs of over 30 s in steps of this')
    .option('--mission <text>', 'what it is for')
  bind(withExample(withAgent(open), 'orien session open prv_… --budget 0.50'), async () => {
    return (await import('../agent/session.ts')).openSession
  })

  const show = session
    .command('show')
    .argument('[session]', 'its id; the latest sessions when none is given')
    .description('show a session and its runs')
  bind(withExample(withAgent(show), 'orien session show\norien session show ses_…'), async () => {
    return (await import('../agent/session.ts')).showSession
  })

  defineSessionFiles(session, bind)

  const end = session
    .command('end')
    .argument('<session>', 'its id')
    .description('end a session: running tools stop, the provider is paid, the rest is refunded')
    .option('--no-wait', 'do not wait until payout and refund are final')
  bind(withExample(withAgent(end), 'orien session end ses_…'), async () => {
    return (await import('../agent/session.ts')).endSession
  })
}

function defineSessionFiles(session: Command, bind: Bind): void {
  const upload = session
    .command('upload')
    .argument('<session>', 'its id')
    .argument('<local:name...>', 'a file; without :name under its own name')
    .description('put files into the workspace; what was cut off goes on where it stopped')
  bind(withExample(withAgent(upload), 'orien session upload ses_… scenes/room.json:scene.json'), async () => {
    return (await import('../agent/files.ts')).uploadFiles
  })

  const download = session
    .command('download')
    .argument('<session>', 'its id')
    .argument('<name...>', 'files of the workspace')
    .description('bring files home before the session ends, their SHA-256 checked')
    .option('--out <dir>', 'where to', '.')
  bind(withExample(withAgent(download), 'orien session download ses_… image.png --out renders'), async () => {
    return (await import('../agent/files.ts')).downloadFiles
  })

  const files = session
    .command('files')
    .argument('<session>', 'its id')
    .description('list the files of the workspace with their sizes and hashes')
  bind(withExample(withAgent(files), 'orien session files ses_…'), async () => {
    return (await import('../agent/files.ts')).listFiles
  })
}

function defineRun(program: Command, bind: Bind): void {
  const run = program
    .command('run')
    .argument('<target>', 'a session, or a provider (id, or name when only one has it) with --budget')
    .argument('<tool>', 'what to run')
    .description("run a tool: its output comes to stdout and stderr, its success is this command's")
    .option('--arg <k=v...>', 'an argument; k=@file takes its text from a file')
    .option('--args-json <json>', 'arguments as one JSON object; @file takes it from a file')
    .option('--file <local:name...>', 'put a file into the workspace first; without :name under its own name')
    .option('--out <dir>', 'save what the run wrote here')
    .option('--budget <usdc>', 'of a session that is opened and ended for this run')
    .option('--max-cost <usdc>', 'stop the run when it has cost this much')
  const example = [
    "orien run prv_… execute_script --budget 0.10 --arg language=python --arg code='print(42)'",
    'orien run ses_… run_build --file src/app.js:app.js --arg entry=app.js minify=true --out dist',
  ].join('\n')
  bind(withExample(withAgent(run), example), async () => (await import('../agent/run.ts')).runTool)
}
