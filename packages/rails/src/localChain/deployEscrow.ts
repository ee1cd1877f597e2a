import { orienEscrowAbi, orienEscrowBytecode } from '@orien/contracts'
import { type Address, concatHex, encodeDeployData, getContractAddress, type Hex, padHex } from 'viem'
import { localAccounts } from './accounts.ts'
import { type LocalClients, minedLocal, sendFromNobody } from './rpc.ts'

/** The public CREATE2 factory that anvil has at genesis. https://github.com/Arachnid/deterministic-deployment-proxy */
const factory: Address = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
const salt: Hex = padHex('0x', { size: 32 })

/**
 * Makes sure that the escrow of today's source stands on the chain. Its address follows from its code and its
 * constructor's arguments, so a state file of an older contract gets the new one beside the old.
 *
 * @throws OrienError `setup_failed` when the deployment reverts
 */
export async function ensureEscrow(clients: LocalClients, closeGraceSeconds: bigint): Promise<Address> {
  const { platform, reserve } = localAccounts
  const args = [platform, reserve, closeGraceSeconds] as const
  const bytecode = encodeDeployData({ abi: orienEscrowAbi, bytecode: orienEscrowBytecode, args })
  const escrow = getContractAddress({ opcode: 'CREATE2', from: factory, salt, bytecode })
  const code = await clients.reader.getCode({ address: escrow })
  if (code !== undefined) return escrow
  const data = concatHex([salt, bytecode])
  await minedLocal(clients, await sendFromNobody(clients, { to: factory, data }))
  return escrow
}
