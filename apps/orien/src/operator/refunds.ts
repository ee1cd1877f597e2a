import { type OwedRefund, recordRefundPayout, selectOwedRefunds } from '@orien/coordinator'
import { micros } from '@orien/protocol'
import { signerFromPrivateKey } from '@orien/rails'
import { privateKeyToAccount } from 'viem/accounts'
import { readKeyFile } from '../agent/keyFile.ts'
import type { Handler } from '../commands/bind.ts'
import { withDatabase } from '../compose/withDatabase.ts'
import { connectExit, type ExitChain } from '../exits/connectExit.ts'
import { counted, exactUsdc } from '../terminal/amounts.ts'
import { findDatabase } from './findDatabase.ts'
import { isPaid, payRefund, readReserve } from './payReserve.ts'

type Options = { dataDir: string; rpcUrl?: string; reserveKeyFile?: string; gasKeyFile?: string }

type Outcome = OwedRefund & { isPaid: boolean; txHash: string | null }

/** `orien refunds`: shows what the reserve owes agents; with the reserve's key, pays it. */
export const payRefunds: Handler<Options> = async (shell, options) => {
  const { terminal } = shell
  const place = await findDatabase(shell, options)
  try {
    const outcomes = await withDatabase(place.databaseUrl, async (pool) => {
      const owed = await selectOwedRefunds(pool)
      if (options.reserveKeyFile === undefined || owed.length === 0) return owed.map(unpaid)
      const chain = await connectExit(place.rpcUrl)
      const pay = await payer(chain, options.reserveKeyFile, options.gasKeyFile)
      const done: Outcome[] = []
      for (const refund of owed) {
        const outcome = await pay(refund)
        if (outcome.isPaid) await recordRefundPayout(pool, refund)
        done.push(outcome)
      }
      return done
    })
    if (terminal.isJson) terminal.printJson({ refunds: outcomes })
    else for (const line of outcomes.map(lineOf)) terminal.print(line)
    const left = outcomes.filter((outcome) => !outcome.isPaid)
    terminal.say(`${counted(outcomes.length - left.length, 'refund')} paid, ${left.length} owed`)
    return options.reserveKeyFile !== undefined && left.length > 0 ? 1 : 0
  } finally {
    await place.close()
  }
}

const unpaid = (refund: OwedRefund): Outcome => ({ ...refund, isPaid: false, txHash: null })

async function payer(chain: ExitChain, reserveKeyFile: string, gasKeyFile = reserveKeyFile) {
  const account = privateKeyToAccount(await readKeyFile(reserveKeyFile))
  const gasPayer = signerFromPrivateKey(await readKeyFile(gasKeyFile))
  return async (refund: OwedRefund): Promise<Outcome> => {
    const terms = await readReserve(chain, refund.escrow)
    if (await isPaid(chain, terms, refund)) return { ...refund, isPaid: true, txHash: null }
    const txHash = await payRefund({ ...chain, gasPayer }, terms, refund, account)
    return { ...refund, isPaid: await isPaid(chain, terms, refund), txHash }
  }
}

function lineOf({ reference, payer: wallet, amountMicros, isPaid: done, txHash }: Outcome): string {
  return `${done ? 'paid' : 'owed'}  ${exactUsdc(micros(amountMicros))} USDC  ${wallet}  ${reference}${txHash ? `  ${txHash}` : ''}`
}
