import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { OrienError } from '@orien/protocol'
import { initNode, type Owner, proposeTools, walletOwner } from '@orien/provider-node'
import { Orien } from '@orien/sdk'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { readUsdc } from '../agent/amount.ts'
import { coordinatorOf } from '../agent/coordinator.ts'
import { createKeyFile, readKeyFile } from '../agent/keyFile.ts'
import { readPlace } from '../agent/place.ts'
import type { Handler, Shell } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { ownerByCode, readCode } from './enrolment.ts'
import { type Choice, chosenOf, foundIn, showProposals, writeToolsFile } from './proposeTools.ts'
import { TOOLS_FILE } from './tools.ts'

type Options = {
  dataDir: string
  name?: string
  rate?: string
  ownerKeyFile?: string
  newOwner?: string
  code?: string
  tools?: string
  coordinator?: string
  rpcUrl?: string
}

/** `orien provider init` */
export const initProvider: Handler<Options> = async (shell, options) => {
  const { terminal, settings } = shell
  if (existsSync(join(options.dataDir, 'provider.json'))) {
    throw new OrienError('setup_failed', `There is a node in ${options.dataDir} already`, {
      hint: 'See `orien provider status`, or name another directory with --data-dir.',
    })
  }
  const answers = await complete(options, terminal.isJson)
  const rateMicrosPerMinute = readUsdc('--rate', answers.rate)
  const coordinatorUrl = coordinatorOf(shell, options)
  const place = await readPlace(coordinatorUrl)
  const rpcUrl = options.rpcUrl ?? settings.rpcUrl ?? place.rpcUrl
  if (rpcUrl === undefined) {
    throw wrongUse(
      'The node needs its own way to the chain',
      'Add --rpc-url: it believes nobody else about a channel.',
    )
  }
  const choice = await chooseTools(shell, options)
  const owner = await openOwner(shell, answers, coordinatorUrl)
  const { chainId, escrow, token } = place
  const made = await initNode({
    dataDir: options.dataDir,
    owner,
    name: answers.name,
    rateMicrosPerMinute,
    chain: { chainId, escrow, token },
    rpcUrl,
    coordinatorUrl,
  })
  if (choice) await writeToolsFile(options.dataDir, choice, coordinatorUrl)
  if (terminal.isJson) terminal.printJson({ ...made, rateMicrosPerMinute, dataDir: options.dataDir })
  else {
    terminal.print(made.providerId)
    terminal.say(`${exactUsdc(rateMicrosPerMinute)} USDC per effective minute, paid to ${owner.payout}`)
    terminal.say(`on chain ${chainId}, escrow ${escrow}`)
    if ('newOwner' in answers.wallet) {
      terminal.say(
        `The owner's key is in ${answers.wallet.newOwner}: move it to a place that is not this machine.`,
      )
    }
    terminal.say('Next: orien provider start')
  }
  return 0
}

/** What to offer: as told, or as a person answers; else the tools that come with the node. Null: there is a file. */
async function chooseTools(shell: Shell, { dataDir, tools }: Options): Promise<Choice | null> {
  const isAsking = tools === undefined && !shell.terminal.isJson && process.stdin.isTTY
  if (existsSync(join(dataDir, TOOLS_FILE))) return null
  if (tools === undefined && !isAsking) return { builtin: true, software: [] }
  const proposals = await proposeTools()
  const found = foundIn(proposals)
  if (tools !== undefined) return chosenOf(found, tools)
  showProposals(shell, proposals)
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await prompt.question(
      'What to offer (all, none, or names; builtin: the tools that come with ORIEN)? [all] ',
    )
    return chosenOf(found, answer.trim() === '' ? 'all' : answer)
  } finally {
    prompt.close()
  }
}

/** Where the owner's wallet is: in a file here, new, or where a code came from. */
type Wallet = { ownerKeyFile: string } | { newOwner: string } | { code: string }
type Answers = { name: string; rate: string; wallet: Wallet }

/** Asks a person for what is not given; a program has to give everything. */
async function complete(options: Options, isJson: boolean): Promise<Answers> {
  const { name, rate } = options
  const given = walletOf(options)
  if (name !== undefined && rate !== undefined && given) return { name, rate, wallet: given }
  if (isJson || !process.stdin.isTTY) {
    throw wrongUse('--name, --rate and one of --owner-key-file, --new-owner and --code are needed')
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const ask = (question: string) => prompt.question(`${question} `)
    return {
      name: name ?? (await ask('How is the machine called in the marketplace?')),
      rate: rate ?? (await ask('USDC for an effective minute (e.g. 0.60)?')),
      wallet: given ?? (await askWallet(ask)),
    }
  } finally {
    prompt.close()
  }
}

function walletOf({ ownerKeyFile, newOwner, code }: Options): Wallet | undefined {
  const given: Wallet[] = []
  if (ownerKeyFile !== undefined) given.push({ ownerKeyFile })
  if (newOwner !== undefined) given.push({ newOwner })
  if (code !== undefined) given.push({ code: readCode(code) })
  if (given.length > 1) throw wrongUse('--owner-key-file, --new-owner and --code exclude each other')
  return given[0]
}

async function askWallet(ask: (question: string) => Promise<string>): Promise<Wallet> {
  const answer = (
    await ask("Owner's wallet: a code of `orien provider enrol`, a key file, or empty to make one?")
  ).trim()
  if (answer === '') return { newOwner: (await ask('File for the new key?')).trim() }
  return /^\w{4}-?\w{4}$/.test(answer) && !existsSync(answer)
    ? { code: readCode(answer) }
    : { ownerKeyFile: answer }
}

async function openOwner(shell: Shell, { wallet }: Answers, coordinatorUrl: string): Promise<Owner> {
  if ('code' in wallet) return ownerByCode(shell, new Orien({ baseUrl: coordinatorUrl }), wallet.code)
  if ('ownerKeyFile' in wallet)
    return walletOwner(privateKeyToAccount(await readKeyFile(wallet.ownerKeyFile)))
  const { newOwner } = wallet
  if (newOwner === '') throw wrongUse('A wallet for the owner is needed')
  if (await createKeyFile(newOwner, generatePrivateKey))
    return walletOwner(privateKeyToAccount(await readKeyFile(newOwner)))
  throw new OrienError('setup_failed', `There is a file ${newOwner} already`, {
    hint: 'Use it with --owner-key-file, or choose another name.',
  })
}
