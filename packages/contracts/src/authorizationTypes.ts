const fields = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
] as const

/**
 * The typed data of EIP-3009: a transfer that anybody may submit, and one that only its receiver may. `value` is in
 * micro-USDC, times are in Unix seconds. Source: https://eips.ethereum.org/EIPS/eip-3009
 */
export const authorizationTypes = {
  TransferWithAuthorization: fields,
  ReceiveWithAuthorization: fields,
} as const
