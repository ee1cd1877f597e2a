import {
  type ChainHead,
  OrienError,
  type ReadReceipt,
  receiptFault,
  type UsdcMicros,
  ZERO,
} from '@orien/protocol'
import { checkReceipt, type ReceiptTerms } from './checkReceipt.ts'

/**
 * A session's receipts as its agent has seen and checked them. They may arrive in any order; each is judged by itself
 * at once, and its place in the chain as soon as all before it are here.
 */
export class ReceiptChain {
  readonly #terms: ReceiptTerms
  readonly #waiting = new Map<number, ReadReceipt>()
  /** Hashes by sequence, to notice a second receipt for a place that is taken. */
  readonly #hashes = new Map<number, string>()
  #head: ChainHead
  #fault: OrienError | undefined

  /** @param offerHash where the chain starts */
  constructor(terms: ReceiptTerms, offerHash: string) {
    this.#terms = terms
    this.#head = { sequence: 0, hash: offerHash, cumulativeMicros: ZERO }
  }

  /** The last receipt of the unbroken chain. */
  get head(): ChainHead {
    return this.#head
  }

  /** The first sequence that is missing while later ones are here; null when none is. */
  get missing(): number | null {
    return this.#waiting.size > 0 ? this.#head.sequence + 1 : null
  }

  /** All that signed receipts add up to, those ahead of the chain included. */
  get consumedMicros(): UsdcMicros {
    let sum: bigint = this.#head.cumulativeMicros
    for (const { receipt } of this.#waiting.values()) sum += receipt.costMicros
    return sum as UsdcMicros
  }

  /** @throws OrienError what was found wrong with the chain: nothing more is signed for this session */
  assertSound(): void {
    if (this.#fault) throw this.#fault
  }

  /**
   * At the end of a session: no receipt is missing, and the coordinator bills what they add up to.
   *
   * @throws OrienError `receipt_out_of_order` or `receipt_disputed`
   */
  assertComplete(billedMicros: UsdcMicros): void {
    this.assertSound()
    if (this.missing !== null) {
      throw new OrienError('receipt_out_of_order', `receipt ${this.missing} is missing`, {
        sequence: this.missing,
      })
    }
    if (billedMicros !== this.#head.cumulativeMicros) {
      throw new OrienError('receipt_disputed', 'the session is billed for another sum than its receipts', {
        billedMicros: billedMicros.toString(),
        receiptsMicros: this.#head.cumulativeMicros.toString(),
      })
    }
  }

  /**
   * Takes one receipt in; taking the same one again changes nothing.
   *
   * @throws OrienError `signature_invalid`, `receipt_mismatch`, `receipt_out_of_order` or `receipt_disputed`
   */
  accept(jws: string): ReadReceipt {
    this.assertSound()
    const read = checkReceipt(jws, this.#terms)
    const { sequence } = read.receipt
    const known = this.#hashes.get(sequence)
    if (known === read.hash) return read
    if (known !== undefined) {
      throw this.#broken('receipt_out_of_order', `there are two receipts with sequence ${sequence}`, sequence)
    }
    this.#hashes.set(sequence, read.hash)
    this.#waiting.set(sequence, read)
    this.#advance()
    return read
  }

  #advance(): void {
    for (;;) {
      const sequence = this.#head.sequence + 1
      const next = this.#waiting.get(sequence)
      if (!next) return
      this.#waiting.delete(sequence)
      const fault = receiptFault(next.receipt, this.#head)
      if (fault) {
        const code = fault.field === 'previous' ? 'receipt_out_of_order' : 'receipt_disputed'
        throw this.#broken(code, `receipt ${sequence}: ${fault.field} ${fault.message}`, sequence)
      }
      this.#head = { sequence, hash: next.hash, cumulativeMicros: next.receipt.cumulativeMicros }
    }
  }

  #broken(code: 'receipt_out_of_order' | 'receipt_disputed', detail: string, sequence: number): OrienError {
    this.#fault = new OrienError(code, detail, { sequence })
    return this.#fault
  }
}
