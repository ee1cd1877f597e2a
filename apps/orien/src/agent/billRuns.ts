import { type Bill, readReceipt } from '@orien/protocol'
import type { BilledRun, Shares } from '../terminal/bill.ts'
import { outcomeOf } from '../terminal/outcome.ts'

/** The runs of a bill, read from its receipts. */
export function billedRuns(bill: Bill): BilledRun[] {
  return bill.receipts.flatMap((jws) => {
    const receipt = readReceipt(jws)?.receipt
    if (!receipt) return []
    return [{ ...receipt, outcome: outcomeOf(receipt) }]
  })
}

/** Where the deposit of a bill went; null while that is not final. */
export function billShares(bill: Bill): Shares | null {
  return bill.settlement ? { depositMicros: bill.depositMicros, ...bill.settlement } : null
}
