import type { Hex, LocalAccount, TypedDataDomain } from 'viem'

/**
 * What is signed, as typed data that viem hashes: computed independently of the contract and of
 * `@orien/protocol`. The type strings are those of draft-evm-session-00 and of the contract's documentation.
 */
const amountTypes = [
  { name: 'nonce', type: 'uint256' },
  { name: 'deadline', type: 'uint256' },
] as const
const cumulative = [
  { name: 'channelId', type: 'bytes32' },
  { name: 'cumulativeAmount', type: 'uint128' },
] as const
const claim = [
  { name: 'channelId', type: 'bytes32' },
  { name: 'claimAmount', type: 'uint128' },
  ...amountTypes,
] as const

export const escrowTypes = {
  Voucher: cumulative,
  SettleAuthorization: [...cumulative, ...amountTypes],
  CloseAuthorization: [...cumulative, ...amountTypes],
  Claim: claim,
  ClaimAndClose: claim,
  RequestClose: [{ name: 'channelId', type: 'bytes32' }, ...amountTypes],
  SetOperator: [
    { name: 'owner', type: 'address' },
    { name: 'operator', type: 'address' },
    { name: 'allowed', type: 'bool' },
    ...amountTypes,
  ],
} as const

export const depositTypes = {
  ReceiveWithAuthorization: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
} as const

export function escrowDomain(escrow: Hex, chainId = 31337): TypedDataDomain {
  return { name: 'EVM Payment Channel', version: '1', chainId, verifyingContract: escrow }
}

/** Signs one of the escrow's types. */
export function signEscrow(
  account: LocalAccount,
  domain: TypedDataDomain,
  primaryType: keyof typeof escrowTypes,
  message: Record<string, unknown>,
): Promise<Hex> {
  const types: Record<string, readonly { name: string; type: string }[]> = escrowTypes
  return account.signTypedData({ domain, types, primaryType, message })
}
