import { type ExecutionView, type Offer, OrienError, type ReadReceipt, readReceipt } from '@orien/protocol'
import { verifyEd25519 } from '../keys/ed25519.ts'

/** What every receipt of a session has to agree with. */
export type ReceiptTerms = {
  sessionId: string
  channelId: string
  nodeKey: string
  offer: Offer
}

/** What binds a receipt to its session; null when all does. */
function strangeness(read: ReadReceipt, terms: ReceiptTerms): string | null {
  const { receipt } = read
  if (receipt.sessionId !== terms.sessionId) return 'is of another session'
  if (receipt.channelId !== terms.channelId) return 'is of another channel'
  if (receipt.providerId !== terms.offer.providerId) return 'is of another provider'
  if (receipt.rateMicrosPerMinute !== terms.offer.rateMicrosPerMinute)
    return 'has another rate than the offer'
  const tool = terms.offer.tools.find((candidate) => candidate.id === receipt.tool)
  if (tool?.manifestHash !== receipt.manifestHash) return 'names another tool than the offer'
  if (receipt.effectiveMs > tool.timeMs) return 'bills more time than the offer lets the tool run'
  return receipt.costMicros > receipt.holdMicros ? 'costs more than its hold' : null
}

/**
 * Reads a receipt and checks its signature and what it belongs to; its place in the chain is not looked at.
 *
 * @throws OrienError `signature_invalid` or `receipt_mismatch`
 */
export function checkReceipt(jws: string, terms: ReceiptTerms): ReadReceipt {
  const read = readReceipt(jws)
  if (!read) throw new OrienError('receipt_mismatch', 'the receipt cannot be read')
  if (!read.verify(terms.nodeKey, verifyEd25519)) {
    throw new OrienError('signature_invalid', 'the receipt is not signed by the registered node key')
  }
  const strange = strangeness(read, terms)
  if (strange) throw new OrienError('receipt_mismatch', `the receipt ${strange}`)
  return read
}

/**
 * Checks that an execution says what its receipt says: nobody between node and agent can change result or price.
 *
 * @throws OrienError `receipt_mismatch`
 */
export function checkResult(view: ExecutionView, { receipt }: ReadReceipt): void {
  const fields = ['tool', 'status', 'reason', 'exitCode', 'effectiveMs', 'costMicros'] as const
  const different =
    receipt.executionId !== view.id ? 'executionId' : fields.find((name) => receipt[name] !== view[name])
  if (different) {
    throw new OrienError('receipt_mismatch', `the execution's ${different} is not what its receipt says`, {
      executionId: view.id,
    })
  }
}
