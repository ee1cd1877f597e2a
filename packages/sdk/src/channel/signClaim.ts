import {
  type BatchKind,
  type BatchTerms,
  batchDigest,
  type ChannelTerms,
  type ClaimTerms,
  claimDigest,
  type Hex,
  type OperatorTerms,
  requestCloseDigest,
  setOperatorDigest,
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
 * A payee's or operator's permission to claim (`ClaimBatch`) or to claim and close (`CloseBatch`) many channels of one
 * payee, which anyone may relay until its deadline, with the claims of other providers beside it.
 *
 * @param operatorKey 32 bytes; of a plain key, because a batch asks no contract wallet
 * @param terms claims in cumulative micro-USDC, in the order in which they will be submitted
 * @example
 * signClaimBatch(operatorKey, terms, 'CloseBatch', { payee, claims: [{ channelId, claimMicros }], deadline })
 */
export function signClaimBatch(operatorKey: Hex, place: Place, kind: BatchKind, terms: BatchTerms): Hex {
  return signDigest(operatorKey, batchDigest(place, kind, terms))
}

/**
 * An owner's permission for an operator key, or its revocation, which anyone may relay.
 *
 * @param ownerKey 32 bytes, of the payout address
 */
export function signSetOperator(ownerKey: Hex, place: Place, terms: OperatorTerms): Hex {
  return signDigest(ownerKey, setOperatorDigest(place, terms))
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
