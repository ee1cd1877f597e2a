import { createTestClient, http } from 'viem'
import { foundry } from 'viem/chains'

/** A chain whose blocks come by the clock and do not all stay. */
export type UnsteadyChain = {
  /** Replaces the last blocks by as many empty ones; what was in them is nowhere any more. */
  reorganise: (depth: number) => Promise<void>
  /** Forgets what is not mined yet. */
  dropPool: () => Promise<void>
  stop: () => Promise<void>
}

const BLOCK_EVERY_MS = 150
const never = () => {}

/** From now on nothing is mined at once. Blocks go on after a restart of the chain. */
export async function makeUnsteady(rpcUrl: string): Promise<UnsteadyChain> {
  const node = createTestClient({ mode: 'anvil', chain: foundry, transport: http(rpcUrl, { retryCount: 0 }) })
  const ask = (method: string, params: readonly unknown[]) =>
    node.request({ method, params } as unknown as Parameters<typeof node.request>[0])
  await node.setAutomine(false)
  let isOver = false
  let busy: Promise<unknown> = Promise.resolve()
  // One after the other: a block between the two halves of a reorganisation would be half of both.
  const inTurn = (work: () => Promise<unknown>): Promise<unknown> => {
    busy = busy.then(work)
    return busy
  }
  const mining = (async () => {
    while (!isOver) {
      await inTurn(() => node.mine({ blocks: 1 }).catch(never))
      await new Promise<void>((resolve) => void setTimeout(resolve, BLOCK_EVERY_MS))
    }
  })()
  return {
    reorganise: async (depth) => void (await inTurn(() => ask('anvil_reorg', [depth, []]))),
    dropPool: async () => void (await inTurn(() => ask('anvil_dropAllTransactions', []))),
    stop: async () => {
      isOver = true
      await mining
    },
  }
}
