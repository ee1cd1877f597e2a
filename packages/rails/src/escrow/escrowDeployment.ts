import { orienEscrowAbi, orienEscrowBytecode } from '@orien/contracts'
import { type Address, concatHex, encodeDeployData, getContractAddress, type Hex, padHex } from 'viem'
import type { ContractCall } from './contractCall.ts'

/** What an escrow is constructed with; nothing of it can change later. */
export type EscrowTerms = { token: Address; platform: Address; reserve: Address; closeGraceSeconds: bigint }

/** The CREATE2 factory of most EVM chains. https://github.com/Arachnid/deterministic-deployment-proxy */
const factory: Address = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
const salt: Hex = padHex('0x', { size: 32 })

/**
 * The call that deploys the escrow, and the address that it will have. The address follows from the code and the
 * terms alone: whoever computes it knows that what stands there is this source with these terms.
 *
 * @example
 * const { address, call } = escrowDeployment({ token: usdc, platform, reserve, closeGraceSeconds: 900n })
 */
export function escrowDeployment(terms: EscrowTerms): { address: Address; call: ContractCall } {
  const args = [terms.token, terms.platform, terms.reserve, terms.closeGraceSeconds] as const
  const bytecode = encodeDeployData({ abi: orienEscrowAbi, bytecode: orienEscrowBytecode, args })
  const address = getContractAddress({ opcode: 'CREATE2', from: factory, salt, bytecode })
  return { address, call: { to: factory, data: concatHex([salt, bytecode]) } }
}
