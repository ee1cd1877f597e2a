import { setTimeout as pause } from 'node:timers/promises'
import { type Hex, OrienError } from '@orien/protocol'
import { signerFromPrivateKey } from '@orien/rails'
import { addressOfKey } from '@orien/sdk'
import { readKeyFile } from '../agent/keyFile.ts'
import type { Handler, Shell } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { counted, exactUsdc } from '../terminal/amounts.ts'
import { connectExit, type ExitChain } from './connectExit.ts'
import { type ExitReport, exitChannel, reportExit } from './exitChannel.ts'
import { type Exit, findExits } from './findExits.ts'

type Options = {
  keyFile?: string
  gasKeyFile?: string
  rpcUrl?: string
  escrow?: string
  status?: true
  wait?: true
}

/** How often a chain is asked whether a grace period is over. */
const LOOK_EVERY_MS = 2_000

type Outcome = { sessionId: string | null } & (ExitReport | { error: { code: string; detail: string } })

/** `orien exit`: needs a key, a file and a chain; no coordinator is asked anything. */
export const exit: Handler<Options> = async (shell, options, [target]) => {
  const keyFile = options.keyFile ?? shell.settings.keyFile
  const chain = await connectExit(options.rpcUrl ?? shell.settings.rpcUrl)
  const wallet = async () => addressOfKey(await readKeyFile(keyFile))
  const exits = await findExits({ target, keyFile, escrow: options.escrow, chain, wallet })
  const act = options.status ? reporting(chain) : await leaving(chain, keyFile, options.gasKeyFile)
  return interruptible(async (signal) => {
    const outcomes: Outcome[] = []
    for (const one of exits) {
      const outcome = await attempt(one, exits.length > 1, (given) => act(given))
      outcomes.push(outcome)
      const isShown = exits.length === 1 || !isOver(outcome)
      if (isShown && !shell.terminal.isJson)
        for (const line of outcomeLines(outcome)) shell.terminal.print(line)
    }
    const done = options.wait ? await waitAll(shell, { exits, outcomes, act, signal }) : outcomes
    if (shell.terminal.isJson) shell.terminal.printJson({ channels: done })
    const over = exits.length === 1 ? [] : outcomes.filter(isOver)
    if (over.length > 0)
      shell.terminal.say(`${counted(over.length, 'session')} closed or never deposited: nothing to do`)
    return done.some((outcome) => 'error' in outcome && !isOver(outcome)) ? 1 : 0
  })
}

type Act = (exit: Exit) => Promise<ExitReport>

const reporting =
  (chain: ExitChain): Act =>
  ({ channel }) =>
    reportExit(chain, channel)

async function leaving(chain: ExitChain, keyFile: string, gasKeyFile?: string): Promise<Act> {
  const key = await readKeyFile(keyFile)
  const gasPayer = signerFromPrivateKey(gasKeyFile === undefined ? key : await readKeyFile(gasKeyFile))
  return ({ channel }) => exitChannel({ ...chain, gasPayer }, channel, key)
}

/** Nothing of it is left in the escrow, or ever was: most sessions end without a deposit or by the coordinator. */
function isOver(outcome: Outcome): boolean {
  if ('error' in outcome) return outcome.error.code === 'not_found'
  return outcome.phase === 'closed' && outcome.transactions.length === 0 && outcome.creditMicros === 0n
}

/** Of several channels, one that cannot be left keeps nobody in the others. */
async function attempt(one: Exit, isOneOfMany: boolean, act: Act): Promise<Outcome> {
  try {
    return { sessionId: one.sessionId, ...(await act(one)) }
  } catch (error) {
    if (!isOneOfMany || !(error instanceof OrienError)) throw error
    return { sessionId: one.sessionId, error: { code: error.code, detail: error.message } }
  }
}

type Waiting = { exits: readonly Exit[]; outcomes: readonly Outcome[]; act: Act; signal: AbortSignal }

async function waitAll({ terminal }: Shell, { exits, outcomes, act, signal }: Waiting): Promise<Outcome[]> {
  const done: Outcome[] = []
  for (const [index, first] of outcomes.entries()) {
    const one = exits[index]
    let outcome = first
    const transactions: Hex[] = 'error' in first ? [] : [...first.transactions]
    while (one && !('error' in outcome) && outcome.phase !== 'closed') {
      terminal.status(`the refund can be withdrawn ${whenOf(outcome)}`)
      await pause(LOOK_EVERY_MS, undefined, { signal })
      const next: Outcome = { sessionId: one.sessionId, ...(await act(one)) }
      transactions.push(...next.transactions)
      outcome = { ...next, transactions }
    }
    terminal.status(null)
    if (outcome !== first && !terminal.isJson) for (const line of outcomeLines(outcome)) terminal.print(line)
    done.push(outcome)
  }
  return done
}

function outcomeLines(outcome: Outcome): string[] {
  const name = outcome.sessionId ?? ('channelId' in outcome ? outcome.channelId : 'channel')
  if ('error' in outcome) return [`${name}  ${outcome.error.code}: ${outcome.error.detail}`]
  const { depositMicros, settledMicros, refundMicros, creditMicros, phase, transactions } = outcome
  const amounts = `deposit ${exactUsdc(depositMicros)}, paid out ${exactUsdc(settledMicros)}`
  return [
    `${name}  ${phase}  ${amounts}`,
    ...transactions.map((hash) => `  sent ${hash}`),
    `  ${sentenceOf(outcome)} ${exactUsdc(refundMicros)} USDC`,
    ...(phase === 'closing'
      ? [`  withdraw it ${whenOf(outcome)}: run this command again, or add --wait`]
      : []),
    ...(creditMicros > 0n
      ? [`  the token refuses to pay this wallet: ${exactUsdc(creditMicros)} USDC wait in the contract`]
      : []),
  ]
}

function sentenceOf({ phase }: ExitReport): string {
  if (phase === 'closed') return 'refunded'
  if (phase === 'closing') return 'comes back unless the provider claims of it'
  return 'not asked back yet:'
}

function whenOf({ withdrawableAt, chainSeconds }: ExitReport): string {
  if (withdrawableAt === null || withdrawableAt <= chainSeconds) return 'now'
  return `from ${new Date(withdrawableAt * 1_000).toISOString()} on`
}
