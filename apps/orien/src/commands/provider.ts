import type { Command } from 'commander'
import { type Bind, withExample } from './bind.ts'
import { defineOwnerCommands } from './owner.ts'
import { defineServiceCommands } from './service.ts'

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

  defineEnrolment(provider, bind)

  const start = provider
    .command('start')
    .description('run the node until it is stopped')
    .option(...DATA_DIR)
    .option('--tools <file>', 'a tool manifest of your own')
    .option('--coordinator <url>', 'the coordinator (default: the one it was made for)')
    .option('--rpc-url <url>', "the node's own way to the chain (default: the one it was made with)")
    .option('--max-runs <n>', 'tools at once, from now on (see `provider limits`)')
    .option('--max-sessions <n>', 'sessions at once, from now on')
    .option('--max-session-runs <n>', 'tools of one session at once, from now on')
    .option(
      '--claim-after <minutes>',
      'claim by itself after so long a silence of the coordinator (default: 360)',
    )
    .option(
      '--claim-above <usdc>',
      'claim by itself when more than this is earned and not claimed (default: 5, where gas has a price in USDC)',
    )
    .option('--claim-every <minutes>', 'or when something is for so long (default: 10)')
    .option('--log-file <file>', 'log there instead of stderr: 10 MiB a file, five older ones are kept')
  bind(withExample(start, 'orien provider start'), async () => {
    return (await import('../provider/start.ts')).startProvider
  })

  const status = provider
    .command('status')
    .description('who this node is, and how the coordinator sees it')
    .option(...DATA_DIR)
    .option('--coordinator <url>', 'the coordinator (default: the one it was made for)')
    .option('--watch', 'go on showing it until it is interrupted')
    .option('--every <seconds>', 'how often, with --watch')
  bind(withExample(status, 'orien provider status --watch'), async () => {
    return (await import('../provider/status.ts')).providerStatus
  })

  defineOwnerCommands(provider, bind, DATA_DIR)
  defineServiceCommands(provider, bind, DATA_DIR)
  defineToolsCommands(provider, bind)
  defineImport(provider, bind)
}

/** How a node comes to be: here, or between here and where the owner's wallet is. */
function defineEnrolment(provider: Command, bind: Bind): void {
  const init = provider
    .command('init')
    .description('make a node: its keys, and the signatures of its owner; asks for what is not given')
    .option(...DATA_DIR)
    .option('--name <name>', 'how it is called in the marketplace')
    .option('--rate <usdc>', 'USDC for an effective minute')
    .option('--owner-key-file <file>', "the owner's wallet: signs now, is paid later, is not kept here")
    .option('--new-owner <file>', 'make a wallet for the owner in a new file, mode 0600')
    .option('--code <code>', "the owner's wallet is elsewhere: a code that `provider enrol` gave there")
    .option(
      '--tools <names>',
      'what to offer: all, or names such as ffmpeg,builtin (see `provider tools propose`)',
    )
    .option('--coordinator <url>', 'the coordinator (default: ORIEN_URL or http://localhost:3000)')
    .option('--rpc-url <url>', "the node's own way to the chain (default: ORIEN_RPC_URL)")
  const example = 'orien provider init --name "My workstation" --rate 0.60 --new-owner ~/owner.key'
  bind(withExample(init, example), async () => (await import('../provider/init.ts')).initProvider)

  const enrol = provider
    .command('enrol')
    .description("where the owner's wallet is: a code for a machine where it is not, then its signatures")
    .requiredOption('--owner-key-file <file>', "the owner's wallet: stays here, signs what the machine asks")
    .option('--yes', 'sign for the first machine that uses the code, without asking')
    .option('--coordinator <url>', 'the coordinator (default: ORIEN_URL or http://localhost:3000)')
  bind(withExample(enrol, 'orien provider enrol --owner-key-file ~/owner.key'), async () => {
    return (await import('../provider/enrol.ts')).enrolProvider
  })
}

function defineImport(provider: Command, bind: Bind): void {
  const imported = provider
    .command('import')
    .argument('<command...>', "the server's command line, after --")
    .description(
      'offer the tools of an MCP server: each call starts it anew inside the sandbox, without network',
    )
    .requiredOption('--mcp', 'the command is an MCP server that speaks over its standard input and output')
    .option('--prefix <text>', "in front of every tool's name", '')
    .option('--read-only <path...>', 'what else the server reads on this machine')
    .option(...DATA_DIR)
    .option('--write', "add the tools to the node's manifest, instead of printing them")
  bind(
    withExample(imported, 'orien provider import --mcp --write -- node /srv/weather/server.js'),
    async () => {
      return (await import('../provider/importTools.ts')).importTools
    },
  )
}

const MANIFEST = [
  '[manifest]',
  "a tool manifest (default: the node's own, else the tools that come with it)",
] as const

function defineToolsCommands(provider: Command, bind: Bind): void {
  const tools = provider
    .command('tools')
    .description('what this machine offers')
    .addHelpText('after', '\nExample:\n  orien provider tools\n  orien provider tools check orien.tools.yaml')

  const list = tools
    .command('list', { isDefault: true })
    .argument(...MANIFEST)
    .description('list the tools of a manifest as this machine would run them')
    .option(...DATA_DIR)
  bind(withExample(list, 'orien provider tools list'), async () => {
    return (await import('../provider/tools.ts')).listTools
  })

  const check = tools
    .command('check')
    .argument(...MANIFEST)
    .description('explain every mistake of a manifest, with its line')
    .option(...DATA_DIR)
  bind(withExample(check, 'orien provider tools check orien.tools.yaml'), async () => {
    return (await import('../provider/checkTools.ts')).checkTools
  })

  const propose = tools
    .command('propose')
    .description('look which known software is installed, and write a manifest that offers it')
    .option(...DATA_DIR)
    .option('--write <names>', 'write the manifest: all, or names such as ffmpeg,povray,builtin')
  bind(withExample(propose, 'orien provider tools propose --write ffmpeg,builtin'), async () => {
    return (await import('../provider/proposeTools.ts')).proposeManifest
  })

  const schema = tools.command('schema').description('print the JSON Schema of orien.tools.yaml')
  bind(withExample(schema, 'orien provider tools schema > orien.tools.schema.json'), async () => {
    return (await import('../provider/toolsSchema.ts')).printToolsSchema
  })
}
