import { fiatTokenAbi, authorizationTypes as types } from '@orien/contracts'
import { type Address, encodeFunctionData, type Hash, maxUint256 } from 'viem'
import { foundry } from 'viem/chains'
import { randomWord } from '../random.ts'
import { deployerAccount } from './accounts.ts'
import { localUsdc, localUsdcDomain } from './deployUsdc.ts'
import { type LocalClients, sendFromNobody } from './rpc.ts'

/**
 * Sends micro-USDC of the deployer's by an EIP-3009 authorisation, so that parallel callers, even in other
 * processes, need no common nonce. Does not wait. Source: https://eips.ethereum.org/EIPS/eip-3009
 */
export async function giveUsdc(clients: LocalClients, to: Address, micros: bigint): Promise<Hash> {
  const from = deployerAccount.address
  const nonce = randomWord()
  const message = { from, to, value: micros, validAfter: 0n, validBefore: maxUint256, nonce }
  const domain = { ...localUsdcDomain, chainId: foundry.id, verifyingContract: localUsdc }
  const primaryType = 'TransferWithAuthorization'
  const signature = await deployerAccount.signTypedData({ domain, types, primaryType, message })
  const data = encodeFunctionData({
    abi: fiatTokenAbi,
    functionName: 'transferWithAuthorization',
    args: [from, to, micros, 0n, maxUint256, nonce, signature],
  })
  return sendFromNobody(clients, { to: localUsdc, data, gas: 200_000n })
}
