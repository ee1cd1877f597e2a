import { OrienError, splitCumulative } from '@orien/protocol'
import { signerFromPrivateKey } from '@orien/rails'
import { readKeyFile } from '../agent/keyFile.ts'
import type { Handler, Shell } from '../commands/bind.ts'
import { counted, exactUsdc } from '../terminal/amounts.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { allowOperator } from './allowOperator.ts'
import { type ClaimReport, reportClaim } from './claimChannel.ts'
import { type Claimed, claimChannels, readAll } from './claimChannels.ts'
import { connectExit, type ExitChain } from './connectExit.ts'
import { type Claims, claimOfBill, claimsOfNode } from './findClaims.ts'

type Options = { dataDir: string; keyFile?: string; gasKeyFile?: string; rpcUrl?: string; status?: true }

type Outcome = { sessionId: string; openRuns: number } & (
  | ClaimReport
  | { error: { code: string; detail: string } }
)

/** `orien claim`: needs a node's directory or a bill, a key and a chain; no coordinator is asked anything. */
export const claim: Handler<Options> = async ({ terminal, settings }, options, [bill]) => {
  const found =
    bill === undefined
      ? await claimsOfNode(options.dataDir, options.status === true)
      : await claimOfBill(bill)
  const chain = await connectExit(options.rpcUrl ?? settings.rpcUrl ?? found.rpcUrl)
  const results = options.status
    ? await readAll(found.claims, (one) => reportClaim(chain, one))
    : await send(chain, found, options, terminal)
  const outcomes = found.claims.flatMap(({ sessionId, openRuns }, index): Outcome[] => {
    const result = results[index]
    if (!result) return []
    // Alone it is the command that fails; of several sessions, one that cannot be claimed keeps back none of the others.
    if (result instanceof OrienError && found.claims.length === 1) throw result
    if (!(result instanceof OrienError)) return [{ sessionId, openRuns, ...result }]
    return [{ sessionId, openRuns, error: { code: result.code, detail: result.message } }]
  })
  if (!terminal.isJson) for (const line of outcomes.flatMap(outcomeLines)) terminal.print(line)
  if (terminal.isJson) terminal.printJson({ claims: outcomes })
  else if (outcomes.length === 0)
    terminal.print('nothing to claim: everything that was earned is final on the chain')
  return outcomes.every(isWhole) || options.status ? 0 : 1
}

async function send(
  chain: ExitChain,
  found: Claims,
  options: Options,
  terminal: Shell['terminal'],
): Promise<Claimed[]> {
  const keyFile = options.keyFile ?? found.keyFile
  if (keyFile === undefined)
    throw wrongUse('A bill needs the key that claims it', 'Add --key-file, of the payee or its operator.')
  const key = await readKeyFile(keyFile)
  const { gasKeyFile } = options
  const gasPayer = signerFromPrivateKey(gasKeyFile === undefined ? key : await readKeyFile(gasKeyFile))
  const paid = { ...chain, gasPayer }
  const { provider, claims } = found
  if (provider && claims.length > 0 && options.keyFile === undefined) await allowOperator(paid, provider)
  return claimChannels(paid, claims, key, (line) => terminal.say(line))
}

/** Whether the provider got its share of all that it had earned. */
function isWhole(outcome: Outcome): boolean {
  return (
    !('error' in outcome) &&
    outcome.phase === 'closed' &&
    outcome.paidMicros >= splitCumulative(outcome.earnedMicros).providerMicros
  )
}

function outcomeLines(outcome: Outcome): string[] {
  const { sessionId, openRuns } = outcome
  const left =
    openRuns > 0
      ? [`  ${counted(openRuns, 'run')} without a receipt: a node that is started once more signs it`]
      : []
  if ('error' in outcome) return [`${sessionId}  ${outcome.error.code}: ${outcome.error.detail}`, ...left]
  const { phase, earnedMicros, claimMicros, paidMicros, transactions } = outcome
  return [
    `${sessionId}  ${phase}  earned ${exactUsdc(earnedMicros)}, claimable ${exactUsdc(claimMicros)}, your share paid ${exactUsdc(paidMicros)} USDC`,
    ...transactions.map((hash) => `  sent ${hash}`),
    ...(phase === 'closing'
      ? [`  the agent has asked for its money back: claim before ${whenOf(outcome)}`]
      : []),
    ...(phase === 'closed' && !isWhole(outcome)
      ? ['  closed for less than was earned: nothing more can be claimed']
      : []),
    ...left,
  ]
}

function whenOf({ claimBefore, chainSeconds }: ClaimReport): string {
  if (claimBefore === null || claimBefore <= chainSeconds) return 'somebody withdraws it, which may be now'
  return new Date(claimBefore * 1_000).toISOString()
}
