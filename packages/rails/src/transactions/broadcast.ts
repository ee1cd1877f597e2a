import { type Hex, keccak256 } from 'viem'
import { ask } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** What a node said to a signed transaction. */
export type Broadcast =
  | { status: 'accepted'; hash: Hex }
  /** It has these very bytes. */
  | { status: 'already_known'; hash: Hex }
  /** The nonce is spent: by these bytes or by others, which {@link readTransaction} tells. */
  | { status: 'nonce_too_low'; hash: Hex }
  /** The fees are below the base fee, or do not outbid the transaction in the pool with this nonce. */
  | { status: 'underpriced'; hash: Hex; message: string }
  /** Refused for another reason, such as too little native coin. Nothing was sent on. */
  | { status: 'rejected'; hash: Hex; message: string }
  /** Unknown outcome: the bytes may have arrived. Broadcast the same ones again. */
  | { status: 'unreachable'; hash: Hex; detail: string }

/** Words of geth, reth, nethermind and anvil; there is no code for these in JSON-RPC. */
const phrases: [RegExp, 'already_known' | 'nonce_too_low' | 'underpriced'][] = [
  [/already known|already imported|known transaction|already in (the )?(mem)?pool/i, 'already_known'],
  [/underpriced|less than block base fee|fee ?cap|fee too low|below base fee/i, 'underpriced'],
  [/nonce (is )?too low|nonce .*lower than|old ?nonce/i, 'nonce_too_low'],
]

/** Sends signed bytes. Doing so again with the same bytes does no harm. */
export async function broadcast(client: ChainClient, raw: Hex): Promise<Broadcast> {
  const hash = keccak256(raw)
  const answer = await ask(client.request({ method: 'eth_sendRawTransaction', params: [raw] }))
  if (answer.status === 'answered') {
    if (answer.value === hash) return { status: 'accepted', hash }
    return { status: 'unreachable', hash, detail: 'The node answered with another hash' }
  }
  if (answer.status === 'unreachable') return { ...answer, hash }
  const { message } = answer
  const status = phrases.find(([pattern]) => pattern.test(message))?.[1] ?? 'rejected'
  return { status, hash, message }
}
