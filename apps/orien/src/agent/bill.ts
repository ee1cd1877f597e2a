import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Bill, OrienError, parseBill, readRefunds } from '@orien/protocol'
import { verifyEd25519 } from '@orien/sdk'
import type { AgentOptions, Handler } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { billTable, sharesTable } from '../terminal/bill.ts'
import type { Paint } from '../terminal/terminal.ts'
import { billedRuns, billShares } from './billRuns.ts'
import { connectAgent } from './connect.ts'
import { readSessionId } from './find.ts'

/** `orien bill` */
export const showBill: Handler<AgentOptions & { out?: string }> = async (shell, options, [id = '']) => {
  const sessionId = readSessionId(id)
  const { terminal } = shell
  const { orien } = await connectAgent(shell, options)
  const text = await (await orien.session(sessionId)).bill()
  if (options.out !== undefined) {
    await saveBill(options.out, text)
    terminal.say(`saved ${options.out}`)
  }
  if (terminal.isJson) terminal.print(text.trimEnd())
  else for (const line of billLines(text, terminal.out)) terminal.print(line)
  return 0
}

/** Writes a bill's text; the bytes are what is verified, so they are kept as they came. */
export async function saveBill(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}

/**
 * A bill for people.
 *
 * @throws OrienError `unreadable` for a text that is none
 */
export function billLines(text: string, paint: Paint): string[] {
  const parsed = parseBill(text)
  if (!parsed.ok)
    throw new OrienError('unreadable', `This is no bill: ${parsed.failure.line} ${parsed.failure.detail}`)
  const { bill } = parsed
  const shares = billShares(bill)
  const settled = shares
    ? [...sharesTable(shares, paint), '', `${paint.dim('settled in')} ${bill.settlement?.txHash}`]
    : [`deposit ${exactUsdc(bill.depositMicros)}, not settled yet`]
  const refunds = refundLines(bill).map((line) => paint.dim(line))
  return [...billTable(billedRuns(bill), paint), '', ...settled, ...refunds]
}

/** What the reserve gives back beside the settlement; whether the statement is right is `orien verify`'s to say. */
function refundLines({ refunds, refundPayments = [], coordinatorKey }: Bill): string[] {
  if (refunds === undefined) return []
  const statement = readRefunds(refunds, coordinatorKey, verifyEd25519)
  if (!statement) return ['refunds by rule: not signed by the coordinator']
  return statement.refunds.map(({ cause, subject, lostMicros, refundedMicros }) => {
    const paid = refundPayments.find((payment) => payment.cause === cause && payment.subject === subject)
    const payment = paid ? `paid ${exactUsdc(paid.paidMicros)} in ${paid.txHash}` : 'owed by the reserve'
    const amounts = `${exactUsdc(refundedMicros)} of ${exactUsdc(lostMicros)} USDC`
    return `refunded by rule ${amounts}: ${cause} ${subject}, ${payment}`
  })
}
