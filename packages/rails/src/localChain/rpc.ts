import { OrienError } from '@orien/protocol'
import {
  type Address,
  createPublicClient,
  createTestClient,
  createWalletClient,
  type Hash,
  type Hex,
  http,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { LOCAL_CHAIN_LIMITS, localFees } from './limits.ts'

/** viem clients for one local chain. Its answers take milliseconds, so waiting polls often. */
export function localClients(rpcUrl: string) {
  const settings = { chain: foundry, transport: http(rpcUrl), pollingInterval: 10 } as const
  return {
    reader: createPublicClient(settings),
    sender: createWalletClient(settings),
    node: createTestClient({ ...settings, mode: 'anvil' }),
  }
}
/** See {@link localClients}. */
export type LocalClients = ReturnType<typeof localClients>

/** A transaction of the local chain's set-up or faucet. */
export type LocalTransaction = { to?: Address; data?: Hex; value?: bigint; gas?: bigint }

/** Sends from an account whose key the node holds, at a nonce of the caller's choice; does not wait. */
export function sendFrom(
  clients: LocalClients,
  from: Address,
  nonce: number,
  { gas = LOCAL_CHAIN_LIMITS.setUpGas, ...transaction }: LocalTransaction,
): Promise<Hash> {
  return clients.sender.sendTransaction({ account: from, nonce, gas, ...localFees, ...transaction })
}

/**
 * Sends from an account that did not exist before; does not wait. Any number of processes may do so at once:
 * anvil gave the same nonce twice to parallel transactions of one account (9 in 20 failed).
 */
export async function sendFromNobody(
  clients: LocalClients,
  { gas = LOCAL_CHAIN_LIMITS.setUpGas, value = 0n, ...transaction }: LocalTransaction,
): Promise<Hash> {
  const nobody = privateKeyToAccount(generatePrivateKey())
  const gasWei = gas * localFees.maxFeePerGas
  await clients.node.setBalance({ address: nobody.address, value: value + gasWei })
  const fields = { type: 'eip1559', chainId: foundry.id, nonce: 0, gas, value, ...localFees } as const
  const serializedTransaction = await nobody.signTransaction({ ...fields, ...transaction })
  return clients.sender.sendRawTransaction({ serializedTransaction })
}

/**
 * Waits until the transaction is mined and has succeeded.
 *
 * @throws OrienError `setup_failed` when it reverted
 */
export async function minedLocal(clients: LocalClients, hash: Hash): Promise<Hash> {
  const timeout = LOCAL_CHAIN_LIMITS.minedMs
  const receipt = await clients.reader.waitForTransactionReceipt({ hash, timeout })
  if (receipt.status === 'reverted') {
    throw new OrienError('setup_failed', `A set-up transaction reverted on the local chain: ${hash}`)
  }
  return hash
}
