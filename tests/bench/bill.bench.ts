import { createHash } from 'node:crypto'
import { fromBase64url, parseBill, printBill, verifyBill } from '@orien/protocol'
import { billCrypto } from '@orien/sdk'
import { makeBill, makeCast } from '../../packages/protocol/src/testing/bill.ts'
import type { BenchResult, BenchRow } from './row.ts'
import { processorMs, rateBeside } from './sample.ts'

const RECEIPTS = 5_000

/** What no reader of these receipts can leave out: their bytes, their hash and their JSON, nothing compared. */
function leastWork(receipts: readonly string[]): void {
  const decoder = new TextDecoder()
  for (const jws of receipts) {
    createHash('sha256').update(jws).digest('hex')
    JSON.parse(decoder.decode(fromBase64url(jws.split('.')[1] ?? '') ?? undefined))
  }
}

async function verified(isFromText: boolean): Promise<BenchResult> {
  const bill = makeBill(
    makeCast('bench'),
    Array.from({ length: RECEIPTS }, (_, index) => 1 + (index % 50)),
  )
  const text = printBill(bill)
  const crypto = billCrypto()
  const rates = await rateBeside({
    count: RECEIPTS,
    rounds: 9,
    clock: processorMs,
    prepare: () => bill,
    subject: async () => {
      const parsed = isFromText ? parseBill(text) : { ok: true as const, bill }
      const verdict = parsed.ok ? verifyBill(parsed.bill, crypto).verdict : 'rejected'
      if (verdict !== 'consistent') throw new TypeError(`the bill is ${verdict}`)
    },
    reference: () => leastWork(bill.receipts),
  })
  return { ...rates, unit: 'receipts/s', note: 'by processor time; one signature covers the chain' }
}

const reference = 'SHA-256, base64url and JSON.parse of the same receipts'

export const rows: BenchRow[] = [
  {
    name: 'bill verified, receipts',
    reference,
    better: 'higher',
    target: { value: 20_000 },
    run: () => verified(false),
  },
  { name: 'bill verified from its text, receipts', reference, better: 'higher', run: () => verified(true) },
]
