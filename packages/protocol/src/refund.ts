import { z } from 'zod'
import { bytes32, type Hex, keccak, utf8 } from './bytes.ts'
import type { Json } from './canonicalJson.ts'
import { executionId, sessionId } from './ids.ts'
import { decodeJws, type Ed25519Sign, type Ed25519Verify, isSignedBy, makeJws } from './jws.ts'
import type { PublishedTool } from './manifest.ts'
import { least, micros, type UsdcMicros, usdcMicros, ZERO } from './money.ts'
import type { Receipt } from './receipt.ts'

/** What is refunded out of one provider's share of the reserve in one UTC day at most, micro-USDC. */
export const REFUND_DAILY_CAP_MICROS = 5_000_000n

/**
 * Why a cost is refunded: a completed run whose signed receipt lacks a file that its tool promises, or a claim above the
 * signed receipts. Both are read from what the provider itself signed; nobody's word is needed.
 */
export const refundCause = z.enum(['missing_output', 'overclaim'])
/** See {@link refundCause}. */
export type RefundCause = z.output<typeof refundCause>

/** One refund by rule. Micro-USDC. */
export const refundItem = z.strictObject({
  cause: refundCause,
  /** The execution, or the session for a claim above its receipts. */
  subject: z.union([executionId, sessionId]),
  lostMicros: usdcMicros,
  /** At most what this provider itself has put into the reserve, and a day's cap. */
  refundedMicros: usdcMicros,
})
/** See {@link refundItem}. */
export type RefundItem = z.output<typeof refundItem>

/** That a refund was paid out of the reserve, by one transfer of the token: the chain is its proof. */
export const refundPayment = z.strictObject({
  cause: refundCause,
  subject: z.union([executionId, sessionId]),
  paidMicros: usdcMicros,
  txHash: bytes32,
})
/** See {@link refundPayment}. */
export type RefundPayment = z.output<typeof refundPayment>

/**
 * The EIP-3009 nonce that a refund is paid under. The token takes a nonce once, so nobody pays a refund twice, and
 * whoever knows the refund finds its payment on the chain. Source: https://eips.ethereum.org/EIPS/eip-3009
 */
export function refundNonce({ cause, subject }: Pick<RefundItem, 'cause' | 'subject'>): Hex {
  return keccak(utf8(`orien reserve refund ${cause}:${subject}`))
}

/** Why a payment is not that of a refund; null when it is. @param before the payments that stand before it */
export function refundPaymentFault(
  { cause, subject, paidMicros }: RefundPayment,
  refunds: readonly RefundItem[],
  before: readonly RefundPayment[],
): string | null {
  const isSame = (other: { cause: RefundCause; subject: string }) =>
    other.cause === cause && other.subject === subject
  if (before.some(isSame)) return 'is paid twice'
  const refund = refunds.find(isSame)
  if (!refund) return 'is of a refund that is not on the bill'
  return refund.refundedMicros === paidMicros ? null : `must be ${refund.refundedMicros}`
}

/** What the coordinator signs about the refunds of a session: what the reserve owes its agent, or has paid. */
export const refundStatement = z.strictObject({
  v: z.literal(1),
  sessionId,
  refunds: z.array(refundItem).min(1),
})
/** See {@link refundStatement}. */
export type RefundStatement = z.output<typeof refundStatement>

const PATTERN = /[*?[\]{}]/

/**
 * The files that a tool promises by their exact names and that a receipt of it lacks. Patterns promise nothing: `*.png`
 * may be none. A run that failed says so itself and owes no file.
 *
 * @example missingOutputs({ outputs: ['image.png'] }, receipt) // ['image.png']
 */
export function missingOutputs(
  tool: Pick<PublishedTool, 'outputs'>,
  receipt: Pick<Receipt, 'status' | 'outputs'>,
): string[] {
  if (receipt.status !== 'completed') return []
  const written = new Set(receipt.outputs.map(({ name }) => name))
  return tool.outputs.filter((name) => !PATTERN.test(name) && !written.has(name))
}

/** What bounds a refund besides the loss. Micro-USDC. */
export type RefundBounds = {
  /** What this provider's own settlements have put into the reserve. */
  contributedMicros: bigint
  /** What was refunded out of that, ever and today. */
  refundedMicros: bigint
  refundedTodayMicros: bigint
}

/**
 * What a loss gets back: never more than what this very provider has put into the reserve and not yet taken out of it,
 * and no more than a day's cap. So whoever is agent and provider at once gets back less than it paid in fees.
 *
 * @example planRefund(micros(2_000n), { contributedMicros: 300n, refundedMicros: 0n, refundedTodayMicros: 0n }) // 300n
 */
export function planRefund(lostMicros: UsdcMicros, bounds: RefundBounds): UsdcMicros {
  const left = (bound: bigint, used: bigint) => (bound > used ? micros(bound - used) : ZERO)
  const ofProvider = left(bounds.contributedMicros, bounds.refundedMicros)
  return least(lostMicros, ofProvider, left(REFUND_DAILY_CAP_MICROS, bounds.refundedTodayMicros))
}

/** Signs what a session is refunded by rule. */
export function signRefunds(statement: RefundStatement, publicKey: string, sign: Ed25519Sign): string {
  const payload = z.encode(refundStatement, statement) as unknown as Json
  return makeJws('orien-refunds+jws', publicKey, payload, sign)
}

/** Reads a signed statement of refunds; null unless it is one, in its one form and signed by this key. */
export function readRefunds(jws: string, key: string, verify: Ed25519Verify): RefundStatement | null {
  const decoded = decodeJws('orien-refunds+jws', jws)
  if (!decoded || !isSignedBy(decoded, key, verify)) return null
  return refundStatement.safeDecode(decoded.payload as z.input<typeof refundStatement>).data ?? null
}

/** What a refund is compared with: the session, its signed receipts and what it was settled at. */
export type RefundGrounds = {
  sessionId: string
  receipts: readonly Pick<Receipt, 'executionId' | 'status' | 'costMicros'>[]
  consumedMicros: UsdcMicros
  settledMicros: UsdcMicros
}

/**
 * Why a refund is not after the rules; null when it is.
 *
 * @param before the refunds that stand before it
 */
export function refundFault(
  { cause, subject, lostMicros, refundedMicros }: RefundItem,
  grounds: RefundGrounds,
  before: readonly RefundItem[],
): string | null {
  if (before.some((other) => other.cause === cause && other.subject === subject)) return 'is refunded twice'
  if (refundedMicros === ZERO || refundedMicros > lostMicros) return `must be from 1 to ${lostMicros}`
  const lost = lossOf(cause, subject, grounds)
  if (lost === null) return 'is of a run that is not on the bill, or was not completed'
  return lost === lostMicros ? null : `was lost at ${lost}`
}

function lossOf(cause: RefundCause, subject: string, grounds: RefundGrounds): bigint | null {
  if (cause === 'overclaim')
    return subject === grounds.sessionId ? grounds.settledMicros - grounds.consumedMicros : null
  const receipt = grounds.receipts.find(({ executionId }) => executionId === subject)
  return receipt?.status === 'completed' ? receipt.costMicros : null
}
