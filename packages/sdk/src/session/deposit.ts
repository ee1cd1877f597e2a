import { authorizationTypes } from '@orien/contracts'
import {
  type DepositAuthorization,
  type DepositTerms,
  depositDigest,
  type Hex,
  invariant,
  LIMITS,
  OrienError,
  type PaymentTerms,
  type UsdcMicros,
} from '@orien/protocol'
import type { OrienAccount } from '../account.ts'
import { recoverSigner } from '../keys/secp256k1.ts'

function typedData(terms: DepositTerms) {
  return {
    domain: {
      name: terms.tokenName,
      version: terms.tokenVersion,
      chainId: terms.chainId,
      verifyingContract: terms.token,
    },
    types: { ReceiveWithAuthorization: [...authorizationTypes.ReceiveWithAuthorization] },
    primaryType: 'ReceiveWithAuthorization',
    message: {
      from: terms.from,
      to: terms.escrow,
      value: terms.valueMicros,
      validAfter: BigInt(terms.validAfter),
      validBefore: BigInt(terms.validBefore),
      nonce: terms.nonce,
    },
  }
}

/**
 * Signs an EIP-3009 authorisation that only the escrow can redeem, once, for the channel that its nonce names.
 *
 * @param input.nowMs server or chain time; the authorisation lives ten minutes from it
 * @throws OrienError `signature_invalid` when the wallet signs with another key than its address says
 */
export async function signDeposit(
  account: OrienAccount,
  payment: PaymentTerms,
  input: { valueMicros: UsdcMicros; nonce: Hex; nowMs: number },
): Promise<DepositAuthorization> {
  invariant(input.valueMicros > 0n, 'a deposit is above zero')
  const terms: DepositTerms = {
    token: payment.token,
    tokenName: payment.tokenName,
    tokenVersion: payment.tokenVersion,
    chainId: payment.chainId,
    from: account.address.toLowerCase() as Hex,
    escrow: payment.escrow,
    valueMicros: input.valueMicros,
    validAfter: 0,
    validBefore: Math.floor((input.nowMs + LIMITS.depositValidityMs) / 1_000),
    nonce: input.nonce,
  }
  const signature = (await account.signTypedData(typedData(terms))).toLowerCase() as Hex
  if (recoverSigner(depositDigest(terms), signature) !== terms.from) {
    throw new OrienError('signature_invalid', 'the wallet’s signature is not by its address')
  }
  const { valueMicros, validAfter, validBefore, nonce } = terms
  return { valueMicros, validAfter, validBefore, nonce, signature }
}
