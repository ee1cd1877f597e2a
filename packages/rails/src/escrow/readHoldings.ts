import { fiatTokenAbi, orienEscrowAbi } from '@orien/contracts'
import type { Address } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import { readHead } from '../chain/readHead.ts'

/** What the chain holds, all read at one block. Micro-USDC. */
export type Holdings = {
  status: 'read'
  blockNumber: bigint
  /** The escrow's whole balance: deposits of open channels, and credits that wait for their accounts. */
  escrowMicros: bigint
  /** The reserve's account, and what waits for it as a credit. */
  reserveMicros: bigint
  reserve: Address
  /** Of the other accounts that were asked for, in their order. */
  othersMicros: bigint[]
}

/**
 * Reads what escrow and reserve hold at the newest final block.
 *
 * @param others accounts whose balances of the same token are read at the same block
 */
export async function readHoldings(
  client: ChainClient,
  profile: ChainProfile,
  escrow: Address,
  others: readonly Address[] = [],
): Promise<Holdings | Unreachable> {
  const head = await readHead(client, profile)
  if (head.status === 'unreachable') return head
  const blockNumber = head.finalBlock < 0n ? 0n : head.finalBlock
  const ask = { address: escrow, abi: orienEscrowAbi, blockNumber } as const
  const token = await askValue(client.readContract({ ...ask, functionName: 'token' }))
  if (token.status === 'unreachable') return token
  const reserve = await askValue(client.readContract({ ...ask, functionName: 'reserve' }))
  if (reserve.status === 'unreachable') return reserve
  const balanceOf = (account: Address) =>
    askValue(
      client.readContract({
        address: token.value,
        abi: fiatTokenAbi,
        functionName: 'balanceOf',
        args: [account],
        blockNumber,
      }),
    )
  const credits = { ...ask, functionName: 'credits', args: [reserve.value] } as const
  const [held, kept, waiting, ...rest] = await Promise.all([
    balanceOf(escrow),
    balanceOf(reserve.value),
    askValue(client.readContract(credits)),
    ...others.map(balanceOf),
  ])
  if (held.status === 'unreachable') return held
  if (kept.status === 'unreachable') return kept
  if (waiting.status === 'unreachable') return waiting
  const othersMicros: bigint[] = []
  for (const other of rest) {
    if (other.status === 'unreachable') return other
    othersMicros.push(other.value)
  }
  const reserveMicros = kept.value + waiting.value
  const escrowMicros = held.value
  return { status: 'read', blockNumber, escrowMicros, reserveMicros, reserve: reserve.value, othersMicros }
}
