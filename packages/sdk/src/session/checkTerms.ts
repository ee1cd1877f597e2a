import {
  decodeJws,
  deriveProviderId,
  type Hex,
  isSignedBy,
  jwsHash,
  type Offer,
  OrienError,
  offer as offerSchema,
  type ProviderView,
  registrationDigest,
  type SessionView,
  sessionSalt,
} from '@orien/protocol'
import { verifyEd25519 } from '../keys/ed25519.ts'
import { recoverSigner } from '../keys/secp256k1.ts'

/** What the caller knows by itself about where its money may go. */
export type Pinned = { chainId?: number; escrow?: Hex; token?: Hex }

/** What an agent relies on in a session, each part signed by whom it concerns. */
export type SessionTerms = { offer: Offer; offerHash: string; nodeKey: string }

const refuse = (detail: string) => new OrienError('signature_invalid', detail)

/**
 * Checks that a provider is who its id says: the owner's wallet signed the registration, and the id follows from it.
 *
 * @throws OrienError `signature_invalid`
 */
function checkRegistration(provider: ProviderView, wantedId: string): void {
  const { registration, signature } = provider.registration
  const { payout } = registration
  if (recoverSigner(registrationDigest(registration), signature) !== payout) {
    throw refuse('the provider’s registration is not signed by its payout address')
  }
  const id = deriveProviderId(payout, registration.salt)
  if (id !== registration.providerId || id !== wantedId || provider.id !== wantedId) {
    throw refuse('the provider’s id does not follow from its payout address')
  }
}

function readOffer(jws: string, nodeKey: string): Offer {
  const decoded = decodeJws('orien-offer+jws', jws)
  const parsed = decoded && offerSchema.safeDecode(decoded.payload as never)
  if (!parsed?.success || !decoded || !isSignedBy(decoded, nodeKey, verifyEd25519)) {
    throw refuse('the offer is not signed by the registered node key')
  }
  return parsed.data
}

/**
 * Checks everything that decides where a session's money goes and at what price, before anything is signed: a
 * coordinator cannot put its own payee, price, contract or node in place of the provider's.
 *
 * @throws OrienError `signature_invalid`
 */
export function checkTerms(session: SessionView, provider: ProviderView, pinned: Pinned = {}): SessionTerms {
  checkRegistration(provider, session.providerId)
  const { registration } = provider.registration
  const offer = readOffer(session.offer, registration.nodeKey)
  const { payment } = session
  const facts: readonly [boolean, string][] = [
    [offer.providerId === registration.providerId, 'the offer is of another provider'],
    [offer.payout === registration.payout, 'the offer names another payout address'],
    [payment.payee === registration.payout, 'the payee is not the registered payout address'],
    [payment.salt === sessionSalt(session.id), 'the channel’s salt does not belong to the session'],
    [payment.chainId === offer.chainId, 'the chain is not the one of the offer'],
    [payment.escrow === offer.escrow, 'the escrow contract is not the one of the offer'],
    [payment.token === offer.token, 'the token is not the one of the offer'],
    [session.rateMicrosPerMinute === offer.rateMicrosPerMinute, 'the rate is not the one of the offer'],
    [(pinned.chainId ?? payment.chainId) === payment.chainId, 'the chain is not the pinned one'],
    [(pinned.escrow ?? payment.escrow).toLowerCase() === payment.escrow, 'the escrow is not the pinned one'],
    [(pinned.token ?? payment.token).toLowerCase() === payment.token, 'the token is not the pinned one'],
  ]
  const wrong = facts.find(([ok]) => !ok)
  if (wrong) throw refuse(wrong[1])
  return { offer, offerHash: jwsHash(session.offer), nodeKey: registration.nodeKey }
}
