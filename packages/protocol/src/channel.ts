import { z } from 'zod'
import { address, bytes32, type Hex, keccak, signature, utf8 } from './bytes.ts'
import {
  addressWord,
  boolWord,
  bytes32Word,
  hashWords,
  stringWord,
  type TypedDomain,
  typedDigest,
  uintWord,
} from './eip712.ts'
import { sessionId } from './ids.ts'
import { type UsdcMicros, usdcMicros } from './money.ts'

/**
 * A payment channel's identity. Everything in it goes into the channel's id, so changing one field is another channel.
 * Draft "EVM Session Intent for HTTP Payment Authentication" (draft-evm-session-00), section Channel State.
 */
export const channelTerms = z.strictObject({
  chainId: z.int().positive(),
  escrow: address,
  token: address,
  payer: address,
  payee: address,
  salt: bytes32,
  authorizedSigner: address,
})
/** See {@link channelTerms}. */
export type ChannelTerms = z.output<typeof channelTerms>

/** A channel as an agent keeps it in a file, to take its money back without any coordinator. Nothing in it is secret. */
export const keptChannel = z.strictObject({
  v: z.literal(1),
  kind: z.literal('orien-channel'),
  sessionId,
  channel: channelTerms,
})

/** A signed cumulative authorisation: all that the payee may claim of the channel, in total, so far. */
export const voucher = z.strictObject({ cumulativeMicros: usdcMicros, signature })
/** See {@link voucher}. */
export type Voucher = z.output<typeof voucher>

/** An EIP-3009 authorisation that a relayer may submit; instants in Unix seconds. https://eips.ethereum.org/EIPS/eip-3009 */
export const depositAuthorization = z.strictObject({
  valueMicros: usdcMicros,
  validAfter: z.int().min(0),
  validBefore: z.int().positive(),
  nonce: bytes32,
  signature,
})
/** See {@link depositAuthorization}. */
export type DepositAuthorization = z.output<typeof depositAuthorization>

/**
 * A request to close the channel, signed ahead by payer or authorised signer: whoever relays it can only give the payer
 * its money back. `deadline` in Unix seconds.
 */
export const exitAuthorization = z.strictObject({ nonce: bytes32, deadline: z.int().positive(), signature })
/** See {@link exitAuthorization}. */
export type ExitAuthorization = z.output<typeof exitAuthorization>

/** `keccak256(abi.encode(payer, payee, token, salt, authorizedSigner, escrow, chainId))`. */
export function channelId(terms: ChannelTerms): Hex {
  return hashWords([
    addressWord(terms.payer),
    addressWord(terms.payee),
    addressWord(terms.token),
    bytes32Word(terms.salt),
    addressWord(terms.authorizedSigner),
    addressWord(terms.escrow),
    uintWord(BigInt(terms.chainId)),
  ])
}

/**
 * The salt of a session's channel. It is derived from the session's id, so a channel belongs to one session
 * and an agent that lost its state finds it again.
 */
export function sessionSalt(sessionId: string): Hex {
  return keccak(utf8(`orien session ${sessionId}`))
}

/** EIP-712 domain of the escrow contract. */
export function escrowDomain(chainId: number, escrow: Hex): TypedDomain {
  return { name: 'EVM Payment Channel', version: '1', chainId, verifyingContract: escrow }
}

type Place = Pick<ChannelTerms, 'chainId' | 'escrow'>

const domainOf = (place: Place) => escrowDomain(place.chainId, place.escrow)

/** The digest of `Voucher(bytes32 channelId,uint128 cumulativeAmount)`. */
export function voucherDigest(place: Place, id: Hex, cumulativeMicros: UsdcMicros): Hex {
  return typedDigest(domainOf(place), 'Voucher(bytes32 channelId,uint128 cumulativeAmount)', [
    bytes32Word(id),
    uintWord(cumulativeMicros),
  ])
}

/** A payee's or operator's permission to claim, relayed by anyone until `deadline` (Unix seconds). */
export type ClaimTerms = { channelId: Hex; claimMicros: UsdcMicros; nonce: bigint; deadline: number }

/** The digest of `Claim` (partial) or `ClaimAndClose` (final). */
export function claimDigest(place: Place, kind: 'Claim' | 'ClaimAndClose', terms: ClaimTerms): Hex {
  const type = `${kind}(bytes32 channelId,uint128 claimAmount,uint256 nonce,uint256 deadline)`
  return typedDigest(domainOf(place), type, [
    bytes32Word(terms.channelId),
    uintWord(terms.claimMicros),
    uintWord(terms.nonce),
    uintWord(BigInt(terms.deadline)),
  ])
}

/** Whether a batch pays parts (`ClaimBatch`) or pays, refunds and ends its channels (`CloseBatch`). */
export type BatchKind = 'ClaimBatch' | 'CloseBatch'

/**
 * A payee's or operator's permission for many channels of one payee, under one signature. It has no nonce: claims are
 * cumulative and a closed channel stays closed, so a replay does nothing. `deadline` in Unix seconds.
 */
export type BatchTerms = {
  payee: Hex
  claims: readonly { channelId: Hex; claimMicros: UsdcMicros }[]
  deadline: number
}

/**
 * The digest of `ClaimBatch` or `CloseBatch(address payee,BatchClaim[] claims,uint256 deadline)`, where a claim is
 * `BatchClaim(bytes32 channelId,uint128 claimAmount)`. The order of the claims is part of it.
 */
export function batchDigest(place: Place, kind: BatchKind, { payee, claims, deadline }: BatchTerms): Hex {
  const claimType = 'BatchClaim(bytes32 channelId,uint128 claimAmount)'
  const typeWord = stringWord(claimType)
  const hashes = claims.map(({ channelId: id, claimMicros }) =>
    bytes32Word(hashWords([typeWord, bytes32Word(id), uintWord(claimMicros)])),
  )
  const type = `${kind}(address payee,BatchClaim[] claims,uint256 deadline)${claimType}`
  return typedDigest(domainOf(place), type, [
    addressWord(payee),
    bytes32Word(hashWords(hashes)),
    uintWord(BigInt(deadline)),
  ])
}

/** The digest of `RequestClose(bytes32 channelId,uint256 nonce,uint256 deadline)`, signed by payer or authorized signer. */
export function requestCloseDigest(place: Place, id: Hex, nonce: bigint, deadline: number): Hex {
  return typedDigest(domainOf(place), 'RequestClose(bytes32 channelId,uint256 nonce,uint256 deadline)', [
    bytes32Word(id),
    uintWord(nonce),
    uintWord(BigInt(deadline)),
  ])
}

/** An owner's relayed permission for an operator key. `deadline` in Unix seconds. */
export type OperatorTerms = { owner: Hex; operator: Hex; allowed: boolean; nonce: bigint; deadline: number }

/** The digest of `SetOperator(address owner,address operator,bool allowed,uint256 nonce,uint256 deadline)`. */
export function setOperatorDigest(place: Place, terms: OperatorTerms): Hex {
  const type = 'SetOperator(address owner,address operator,bool allowed,uint256 nonce,uint256 deadline)'
  return typedDigest(domainOf(place), type, [
    addressWord(terms.owner),
    addressWord(terms.operator),
    boolWord(terms.allowed),
    uintWord(terms.nonce),
    uintWord(BigInt(terms.deadline)),
  ])
}

/** The same as {@link setOperatorDigest} for wallets that take typed data (EIP-712) instead of a digest. */
export function setOperatorTypedData(place: Place, terms: OperatorTerms) {
  return {
    domain: escrowDomain(place.chainId, place.escrow),
    types: {
      SetOperator: [
        { name: 'owner', type: 'address' },
        { name: 'operator', type: 'address' },
        { name: 'allowed', type: 'bool' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    primaryType: 'SetOperator' as const,
    message: { ...terms, deadline: BigInt(terms.deadline) },
  }
}

/** The nonce an opening deposit must carry: `keccak256(abi.encode(from, payee, token, salt, authorizedSigner))`. */
export function openNonce(terms: ChannelTerms): Hex {
  return hashWords([
    addressWord(terms.payer),
    addressWord(terms.payee),
    addressWord(terms.token),
    bytes32Word(terms.salt),
    addressWord(terms.authorizedSigner),
  ])
}

/** The nonce a top-up must carry: `keccak256(abi.encode(channelId, additionalDeposit, from, topUpSalt))`. */
export function topUpNonce(id: Hex, additionalMicros: UsdcMicros, from: Hex, topUpSalt: Hex): Hex {
  return hashWords([bytes32Word(id), uintWord(additionalMicros), addressWord(from), bytes32Word(topUpSalt)])
}

/** The token's EIP-712 domain and the deposit it moves. */
export type DepositTerms = {
  token: Hex
  tokenName: string
  tokenVersion: string
  chainId: number
  from: Hex
  escrow: Hex
  valueMicros: UsdcMicros
  validAfter: number
  validBefore: number
  nonce: Hex
}

function authorizationDigest(
  name: 'ReceiveWithAuthorization' | 'TransferWithAuthorization',
  to: Hex,
  terms: Omit<DepositTerms, 'escrow'>,
): Hex {
  const fields = 'address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce'
  const domain: TypedDomain = {
    name: terms.tokenName,
    version: terms.tokenVersion,
    chainId: terms.chainId,
    verifyingContract: terms.token,
  }
  return typedDigest(domain, `${name}(${fields})`, [
    addressWord(terms.from),
    addressWord(to),
    uintWord(terms.valueMicros),
    uintWord(BigInt(terms.validAfter)),
    uintWord(BigInt(terms.validBefore)),
    bytes32Word(terms.nonce),
  ])
}

/** The digest of EIP-3009's `ReceiveWithAuthorization`, which only the escrow itself can redeem. */
export function depositDigest({ escrow, ...terms }: DepositTerms): Hex {
  return authorizationDigest('ReceiveWithAuthorization', escrow, terms)
}

/** The digest of EIP-3009's `TransferWithAuthorization`: anyone may submit it, to this one receiver, once. */
export function transferDigest({ to, ...terms }: Omit<DepositTerms, 'escrow'> & { to: Hex }): Hex {
  return authorizationDigest('TransferWithAuthorization', to, terms)
}

/** Half of secp256k1's order: a signature with a larger s has a twin and is refused (EIP-2). */
export const SECP256K1_HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

const HALF_ORDER = SECP256K1_HALF_ORDER.toString(16)
const NOTHING = '0'.repeat(64)

/** Whether a 65-byte signature is in the one accepted form: lower-case hex, low s, v 27 or 28. */
export function isCanonicalSignature(hex: Hex): boolean {
  if (!/^0x[0-9a-f]{128}1[bc]$/.test(hex)) return false
  // Hex of one length and one case sorts as the numbers do.
  const s = hex.slice(66, 130)
  return s > NOTHING && s <= HALF_ORDER
}
