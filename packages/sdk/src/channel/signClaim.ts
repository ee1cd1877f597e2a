import {
  type ChannelTerms,
  type ClaimTerms,
  claimDigest,
  type Hex,
  requestCloseDigest,
} from '@orien/protocol'
import { signDigest } from '../keys/secp256k1.ts'

type Place = Pick<ChannelTerms, 'chainId' | 'escrow'>

/**
 * A payee's or operator's permission to claim (`Claim`) or to claim and close (`ClaimAndClose`), which anyone may relay.
 *
 * @param operatorKey 32 bytes
 */
export function signClaim(
  operatorKey: Hex,
  place: Place,
  kind: 'Claim' | 'ClaimAndClose',
  terms: ClaimTerms,
): Hex {
  return signDigest(operatorKey, claimDigest(place, kind, terms))
}

/**
 * An agent's request to close its channel, which anyone may relay: the way out when the provider is gone.
 *
 * @param key of the payer or of the channel's authorised signer
 * @param request.deadline Unix seconds
 */
export function signRequestClose(
  key: Hex,
  place: Place,
  request: { channelId: Hex; nonce: bigint; deadline: number },
): Hex {
  return signDigest(key, requestCloseDigest(place, request.channelId, request.nonce, request.deadline))
}
