import type { Address } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** An account's next nonce: after what is mined, and after what the node's pool holds besides. */
export type Nonces = { status: 'read'; mined: number; pending: number }

/** Reads an account's nonces. The pool is the node's own view, so only `mined` is a fact. */
export async function readNonces(client: ChainClient, address: Address): Promise<Nonces | Unreachable> {
  const mined = await askValue(client.getTransactionCount({ address, blockTag: 'latest' }))
  if (mined.status === 'unreachable') return mined
  const pending = await askValue(client.getTransactionCount({ address, blockTag: 'pending' }))
  if (pending.status === 'unreachable') return pending
  return { status: 'read', mined: mined.value, pending: pending.value }
}

/** How many transactions of an account there were in a block: each of its nonces below that is spent for good once the block is final. */
export async function readNonceAt(
  client: ChainClient,
  address: Address,
  blockNumber: bigint,
): Promise<{ status: 'read'; count: number } | Unreachable> {
  const answer = await askValue(client.getTransactionCount({ address, blockNumber }))
  return answer.status === 'unreachable' ? answer : { status: 'read', count: answer.value }
}
