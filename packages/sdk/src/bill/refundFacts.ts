import { orienEscrowAbi } from '@orien/contracts'
import {
  type Bill,
  type ChainFacts,
  type Hex,
  micros,
  type RefundPayment,
  refundNonce,
} from '@orien/protocol'
import { chainClient } from '../channel/chainClient.ts'

const isSame = (a: string, b: string) => a.toLowerCase() === b.toLowerCase()

/**
 * What each payment of a refund on a bill moved from the reserve to the payer, as the token's events in its transaction
 * say; null where there is no such transaction, or where it paid something else.
 */
export async function readRefundPayments(rpcUrl: string, bill: Bill): Promise<ChainFacts['refundPayments']> {
  const payments = bill.refundPayments ?? []
  if (payments.length === 0) return []
  const { escrow } = bill.channel
  const client = await chainClient(rpcUrl)
  const reserve = await client.readContract({ address: escrow, abi: orienEscrowAbi, functionName: 'reserve' })
  return Promise.all(payments.map((payment) => readPayment(rpcUrl, bill, reserve, payment)))
}

async function readPayment(
  rpcUrl: string,
  { channel: { token, payer } }: Bill,
  reserve: Hex,
  payment: RefundPayment,
): Promise<ChainFacts['refundPayments'][number]> {
  const client = await chainClient(rpcUrl)
  const { parseAbi, parseEventLogs, TransactionReceiptNotFoundError } = await import('viem')
  const receipt = await client.getTransactionReceipt({ hash: payment.txHash }).catch((error: unknown) => {
    if (error instanceof TransactionReceiptNotFoundError) return null
    throw error
  })
  if (!receipt) return null
  // https://eips.ethereum.org/EIPS/eip-3009 and eip-20: the token says which nonce, and next which transfer.
  const abi = parseAbi([
    'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
    'event Transfer(address indexed from, address indexed to, uint256 value)',
  ])
  const events = parseEventLogs({
    abi,
    logs: receipt.logs.filter(({ address }) => isSame(address, token)),
    strict: true,
  })
  const nonce = refundNonce(payment)
  const at = events.findIndex(
    ({ eventName, args }) =>
      eventName === 'AuthorizationUsed' && isSame(args.authorizer, reserve) && isSame(args.nonce, nonce),
  )
  const next = events[at + 1]
  if (at < 0 || next?.eventName !== 'Transfer') return null
  const { from, to, value } = next.args
  return isSame(from, reserve) && isSame(to, payer)
    ? { txHash: payment.txHash, paidMicros: micros(value) }
    : null
}
