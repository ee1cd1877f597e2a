import { type BillCrypto, type BillVerdict, parseBill, verifyBill } from '@orien/protocol'
import { billCrypto } from './billCrypto.ts'
import { readChainFacts } from './chainFacts.ts'

/** What the verifier knows by itself, from outside the bill. */
export type VerifyBillOptions = {
  /** An endpoint of the bill's chain, trusted by the verifier. Without it the best verdict is `consistent`. */
  rpcUrl?: string | undefined
  /** The coordinator key that is expected, when it is known. */
  pinnedCoordinatorKey?: string | undefined
  /** The escrow contract that is expected. A contract of someone's own could claim to have paid anything. */
  pinnedEscrow?: string | undefined
  crypto?: BillCrypto | undefined
}

/**
 * Checks a bill's text by everything there is: its form, every signature and sum in it, and the chain.
 * Needs no coordinator.
 *
 * @returns `verified`, `consistent` (no chain was asked), or `rejected` with the first line that fails
 * @throws OrienError `chain_unavailable` when the chain was to be asked and does not answer
 * @example
 * const { verdict, failure } = await verifyBillText(text, { rpcUrl: 'http://127.0.0.1:8545' })
 */
export async function verifyBillText(text: string, options: VerifyBillOptions = {}): Promise<BillVerdict> {
  const parsed = parseBill(text)
  if (!parsed.ok) return { verdict: 'rejected', lines: [parsed.failure], failure: parsed.failure }
  const { bill } = parsed
  const { pinnedEscrow, pinnedCoordinatorKey } = options
  if (pinnedEscrow !== undefined && pinnedEscrow.toLowerCase() !== bill.channel.escrow) {
    const failure = { line: 'channel.escrow', ok: false, detail: 'is not the contract that you pinned' }
    return { verdict: 'rejected', lines: [failure], failure }
  }
  const crypto = options.crypto ?? billCrypto()
  const pinned = pinnedCoordinatorKey === undefined ? {} : { pinnedCoordinatorKey }
  const inItself = verifyBill(bill, crypto, pinned)
  // A bill that contradicts itself is rejected without troubling the chain.
  if (inItself.verdict === 'rejected' || options.rpcUrl === undefined) return inItself
  return verifyBill(bill, crypto, { ...pinned, facts: await readChainFacts(options.rpcUrl, bill) })
}
