import { type ErrorCode, type Hex, OrienError, type ToNode, ZERO } from '@orien/protocol'
import { checkChannelTerms } from '../admission/checkDispatch.ts'
import type { SignedOffer } from '../identity/offer.ts'
import type { Journal } from '../journal/journal.ts'
import type { Operator } from '../signer/client.ts'

type ClaimRequest = Extract<ToNode, { type: 'claimRequest' }>

/** The signature that closes the channel, or why there is none. */
export type ClaimAnswer = { ok: true; signature: Hex } | { ok: false; code: ErrorCode; detail: string }

export type Claimant = {
  journal: Journal
  operator: Operator
  /** The current offer: ours differ in price and tools, never in payee and contract. */
  offer: SignedOffer
  /** Whether the session has runs without a receipt. */
  isOpen(sessionId: string): boolean
}

const NONCE = /^(0|[1-9]\d{0,77})$/

const refuse = (code: ErrorCode, detail: string): ClaimAnswer => ({ ok: false, code, detail })

/**
 * Signs the close of a session's channel: at exactly what our receipts say, never below them (the provider's loss) and
 * never above (the agent's). After the signature no work of the session is taken any more; that is on the disk before
 * the signature leaves, because whoever holds it can close the channel at any later time.
 */
export async function answerClaim(claimant: Claimant, request: ClaimRequest): Promise<ClaimAnswer> {
  const { journal } = claimant
  const session = journal.state.sessions.get(request.sessionId)
  const foreign = checkChannelTerms(request, claimant.offer.offer, session)
  if (foreign) return refuse(foreign.code, foreign.detail)
  if (!NONCE.test(request.nonce) || BigInt(request.nonce) >= 1n << 256n || request.deadline <= 0)
    return refuse('validation_failed', 'nonce or deadline is not a uint256')
  if (claimant.isOpen(request.sessionId))
    return refuse('illegal_transition', 'runs of the session have no receipt yet')
  const earnedMicros = session?.head.cumulativeMicros ?? ZERO
  if (request.claimMicros !== earnedMicros)
    return refuse('receipt_mismatch', `our receipts of the session sum to ${earnedMicros} micro-USDC`)
  await closeSession(claimant, request)
  return askSigner(claimant, request)
}

async function closeSession({ journal, offer }: Claimant, { sessionId }: ClaimRequest): Promise<void> {
  const session = journal.state.sessions.get(sessionId)
  if (session?.closed) return
  // Nothing was run; remembered all the same, because from now on nothing may be.
  if (!session) journal.note({ t: 'session', sessionId, offerHash: offer.hash })
  await journal.appendDurable({ t: 'closed', sessionId })
}

/** What the signer does not find backed it refuses, whatever this process believes. */
async function askSigner({ operator, journal }: Claimant, request: ClaimRequest): Promise<ClaimAnswer> {
  const { sessionId, channel, claimMicros, nonce, deadline } = request
  const { voucher, lastReceipt } = journal.state.sessions.get(sessionId) ?? {}
  const backing = { ...(voucher ? { voucher } : {}), ...(lastReceipt ? { receipt: lastReceipt } : {}) }
  try {
    const close = { kind: 'close' as const, sessionId, channel, claimMicros, nonce, deadline, ...backing }
    return { ok: true, signature: await operator.signClose(close) }
  } catch (error) {
    if (error instanceof OrienError) return refuse(error.code, error.message)
    throw error
  }
}
