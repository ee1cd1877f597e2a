import { instantOf } from '../clock.ts'
import type { NodeKey } from '../identity/keys.ts'
import { isCurrent, type OfferTerms, type SignedOffer, signOffer } from '../identity/offer.ts'
import type { Journal } from '../journal/journal.ts'

/**
 * The offer that sessions are opened on now: the last one while it still says what is promised, else a new one.
 * On the disk before anybody sees it, because sessions go on under it after a restart.
 */
export async function currentOffer(
  journal: Journal,
  terms: OfferTerms,
  key: NodeKey,
  nowMs: number,
  validityMs: number,
): Promise<SignedOffer> {
  const last = journal.state.currentOffer
  if (last && isCurrent(last.offer, terms, nowMs)) return last
  const validity = { validFrom: instantOf(nowMs), validUntil: instantOf(nowMs + validityMs) }
  const signed = signOffer({ ...terms, ...validity }, key)
  await journal.appendDurable({ t: 'offer', jws: signed.jws })
  return signed
}
