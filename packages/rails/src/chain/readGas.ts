import { type GasWei, gasWei } from '@orien/protocol'
import type { Address } from 'viem'
import { askValue, type Unreachable } from './ask.ts'
import type { ChainClient } from './connect.ts'

/** What an account has to pay gas with. */
export type GasReading = { status: 'read'; wei: GasWei } | Unreachable

/** Reads what an account can pay gas with, at the newest block. */
export async function readGasBalance(client: ChainClient, account: Address): Promise<GasReading> {
  const answer = await askValue(client.getBalance({ address: account }))
  return answer.status === 'unreachable' ? answer : { status: 'read', wei: gasWei(answer.value) }
}

/** Reads what a unit of gas costs now, in wei: the base fee and the usual tip. */
export async function readGasPrice(
  client: ChainClient,
): Promise<{ status: 'read'; wei: bigint } | Unreachable> {
  const answer = await askValue(client.getGasPrice())
  return answer.status === 'unreachable' ? answer : { status: 'read', wei: answer.value }
}

/** Reads which chain a node serves: a wrong one would take signatures for another contract. */
export async function readChainId(
  client: ChainClient,
): Promise<{ status: 'read'; chainId: number } | Unreachable> {
  const answer = await askValue(client.getChainId())
  return answer.status === 'unreachable' ? answer : { status: 'read', chainId: answer.value }
}
