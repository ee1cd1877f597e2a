import { type ClosingClaim, type ErrorCode, OrienError, type ToNode } from '@orien/protocol'
import { checkChannelTerms } from '../admission/checkDispatch.ts'
import type { SignedOffer } from '../identity/offer.ts'
import type { Journal } from '../journal/journal.ts'
import type { Operator } from '../signer/client.ts'
import type { BackedClaim, SignedBatch } from '../signer/request.ts'
import { standOf } from './standOf.ts'

type ClaimRequest = Extract<ToNode, { type: 'claimRequest' }>
type Refusal = SignedBatch['refused'][number]

export type Claimant = {
  journal: Journal
  operator: Pick<Operator, 'sign'>
  /** The current offer: ours differ in price and tools, never in payee and contract. */
  offer: SignedOffer
  /** Whether the session has runs without a receipt. */
  isOpen(sessionId: string): boolean
}

/**
 * Signs the close of sessions' channels: each at exactly what our receipts say ({@link standOf}), never below (the
 * provider's loss) and never above (the agent's); the others are signed without it. After the signature no work of these sessions is
 * taken any more; that is on the disk before the signature leaves, because whoever holds it can close the channels at
 * any later time.
 */
export async function answerClaim(
  claimant: Claimant,
  { claims, deadline }: Pick<ClaimRequest, 'claims' | 'deadline'>,
): Promise<SignedBatch> {
  const refused: Refusal[] = []
  const sound = claims.filter((claim) => {
    const fault = faultOf(claimant, claim)
    if (fault) refused.push({ sessionId: claim.sessionId, ...fault })
    return !fault
  })
  if (sound.length === 0) return { refused }
  // No work is taken from here on; while that is written the signer judges, and what it signs waits for the disk.
  const closed = Promise.all(sound.map((claim) => closeSession(claimant, claim)))
  const request = {
    kind: 'sign' as const,
    batch: 'CloseBatch' as const,
    claims: sound.map((claim) => backClaim(claimant, claim)),
    deadline,
  }
  try {
    const [answer] = await Promise.all([claimant.operator.sign(request), closed])
    return { ...answer, refused: [...refused, ...answer.refused] }
  } catch (error) {
    if (!(error instanceof OrienError)) throw error
    const { code, message: detail } = error
    return { refused: [...refused, ...sound.map(({ sessionId }) => ({ sessionId, code, detail }))] }
  }
}

function faultOf(claimant: Claimant, claim: ClosingClaim): { code: ErrorCode; detail: string } | null {
  const session = claimant.journal.state.sessions.get(claim.sessionId)
  const foreign = checkChannelTerms(claim, claimant.offer.offer, session)
  if (foreign) return foreign
  if (claimant.isOpen(claim.sessionId))
    return { code: 'illegal_transition', detail: 'runs of the session have no receipt yet' }
  const { sumMicros } = standOf(claimant.journal, session)
  if (claim.claimMicros === sumMicros) return null
  return { code: 'receipt_mismatch', detail: `our receipts of the session sum to ${sumMicros} micro-USDC` }
}

/** From here on no work of the session is taken; on the disk when it resolves. */
export async function closeSession(
  { journal, offer }: Claimant,
  { sessionId }: Pick<ClosingClaim, 'sessionId'>,
): Promise<void> {
  const session = journal.state.sessions.get(sessionId)
  if (session?.closed) return
  // Nothing was run; remembered all the same, because from now on nothing may be.
  if (!session) journal.note({ t: 'session', sessionId, offerHash: offer.hash })
  await journal.appendDurable({ t: 'closed', sessionId })
}

/** What the signer does not find backed it refuses, whatever this process believes. */
export function backClaim({ journal }: Claimant, claim: ClosingClaim): BackedClaim {
  const session = journal.state.sessions.get(claim.sessionId)
  const { receipt } = standOf(journal, session)
  const { voucher } = session ?? {}
  return { ...claim, ...(voucher ? { voucher } : {}), ...(receipt ? { receipt } : {}) }
}
