import type { Hex } from '@orien/protocol'
import { askChain, assertChain, chainClient } from './chainClient.ts'

/** How long a transaction may take to be mined before its fate is called unknown. */
const MINED_MS = 60_000
const LOOK_EVERY_MS = 500

/** What it takes to send a transaction now. Amounts in wei, fees per unit of gas. */
export type Sender = {
  balanceWei: bigint
  /** That of the next transaction, counted from those that are mined. */
  nonce: number
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

/**
 * Reads what an account can pay gas with, its nonce, and fees that the base fee may double under.
 *
 * @throws OrienError `chain_unavailable`
 */
export async function readSender(rpcUrl: string, chainId: number, address: Hex): Promise<Sender> {
  await assertChain(rpcUrl, chainId)
  return askChain(async () => {
    const client = await chainClient(rpcUrl)
    const [balanceWei, nonce, block, tip] = await Promise.all([
      client.getBalance({ address }),
      client.getTransactionCount({ address, blockTag: 'latest' }),
      client.getBlock({ blockTag: 'latest' }),
      client.estimateMaxPriorityFeePerGas(),
    ])
    const maxFeePerGas = (block.baseFeePerGas ?? 0n) * 2n + tip
    return { balanceWei, nonce, maxFeePerGas, maxPriorityFeePerGas: tip }
  })
}

/** What became of a transaction that was sent: `waiting` when it is not mined in a minute. */
export type Mined = { hash: Hex; status: 'mined' | 'reverted' | 'waiting' }

/**
 * Sends signed bytes and waits until they are mined. Sending the same bytes again does no harm.
 *
 * @throws OrienError `chain_unavailable` when the endpoint does not take them
 */
export async function sendRaw(rpcUrl: string, raw: Hex): Promise<Mined> {
  const client = await chainClient(rpcUrl)
  const hash = await askChain(() => client.sendRawTransaction({ serializedTransaction: raw }))
  const waiting = { hash, timeout: MINED_MS, pollingInterval: LOOK_EVERY_MS }
  return client.waitForTransactionReceipt(waiting).then(
    ({ status }) => ({ hash, status: status === 'success' ? 'mined' : 'reverted' }),
    // Its fate is read from the channels at the next look.
    () => ({ hash, status: 'waiting' }),
  )
}
