import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { type Hex, OrienError } from '@orien/protocol'
import { initNode, proposeTools } from '@orien/provider-node'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { readUsdc } from '../agent/amount.ts'
import { coordinatorOf } from '../agent/coordinator.ts'
import { createKeyFile, readKeyFile } from '../agent/keyFile.ts'
import { readPlace } from '../agent/place.ts'
import type { Handler, Shell } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { type Choice, chosenOf, foundIn, showProposals, writeToolsFile } from './proposeTools.ts'
import { TOOLS_FILE } from './tools.ts'

type Options = {
  dataDir: string
  name?: string
  rate?: string
  ownerKeyFile?: string
  newOwner?: string
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
  const ownerKey = await openOwner(answers)
  const ownerAccount = privateKeyToAccount(ownerKey)
  const { chainId, escrow, token } = place
  const made = await initNode({
    dataDir: options.dataDir,
    ownerAccount,
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
    terminal.say(
      `${exactUsdc(rateMicrosPerMinute)} USDC per effective minute, paid to ${ownerAccount.address}`,
    )
    terminal.say(`on chain ${chainId}, escrow ${escrow}`)
    if (answers.newOwner !== undefined) {
      terminal.say(`The owner's key is in ${answers.newOwner}: move it to a place that is not this machine.`)
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

type Answers = { name: string; rate: string } & Pick<Options, 'ownerKeyFile' | 'newOwner'>

/** Asks a person for what is not given; a program has to give everything. */
async function complete(options: Options, isJson: boolean): Promise<Answers> {
  const { name, rate, ownerKeyFile, newOwner } = options
  if (ownerKeyFile !== undefined && newOwner !== undefined) {
    throw wrongUse('--owner-key-file and --new-owner exclude each other')
  }
  const hasOwner = ownerKeyFile !== undefined || newOwner !== undefined
  if (name !== undefined && rate !== undefined && hasOwner) {
    return { name, rate, ...owner(ownerKeyFile, newOwner) }
  }
  if (isJson || !process.stdin.isTTY) {
    throw wrongUse('--name, --rate and one of --owner-key-file and --new-owner are needed')
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const ask = (question: string) => prompt.question(`${question} `)
    const given = {
      name: name ?? (await ask('How is the machine called in the marketplace?')),
      rate: rate ?? (await ask('USDC for an effective minute (e.g. 0.60)?')),
    }
    if (hasOwner) return { ...given, ...owner(ownerKeyFile, newOwner) }
    const existing = await ask("File with the owner's key (empty: make a new wallet)?")
    if (existing !== '') return { ...given, ownerKeyFile: existing }
    return { ...given, newOwner: await ask('File for the new key?') }
  } finally {
    prompt.close()
  }
}

function owner(ownerKeyFile: string | undefined, newOwner: string | undefined) {
  if (ownerKeyFile !== undefined) return { ownerKeyFile }
  return newOwner === undefined ? {} : { newOwner }
}

async function openOwner({ ownerKeyFile, newOwner }: Answers): Promise<Hex> {
  if (ownerKeyFile !== undefined) return readKeyFile(ownerKeyFile)
  if (newOwner === undefined || newOwner === '') throw wrongUse('A wallet for the owner is needed')
  if (await createKeyFile(newOwner, generatePrivateKey)) return readKeyFile(newOwner)
  throw new OrienError('setup_failed', `There is a file ${newOwner} already`, {
    hint: 'Use it with --owner-key-file, or choose another name.',
  })
}
