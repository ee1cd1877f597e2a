import {
  batchedSessionGas,
  directSessionGas,
  keptSessionGas,
  openGasWorld,
  openWorld,
  relayedSessionGas,
  type SessionGas,
  transfersGas,
} from '@orien/rails/testing'
import type { BenchResult, BenchRow } from './row.ts'

/** How many closes of ten providers fit into one transaction, see `docs/gas.md`. */
const LARGEST = 253
const PROVIDERS = 10

type GasWorld = Awaited<ReturnType<typeof openGasWorld>>

/** Measures on a fresh chain; Circle's contract on both sides. */
async function onChain<T>(measure: (gasWorld: GasWorld) => Promise<T>): Promise<T> {
  const world = await openWorld()
  try {
    return await measure(await openGasWorld(world, PROVIDERS))
  } finally {
    await world.close()
  }
}

const result = ({ openGas, closeGas }: SessionGas, referenceGas: bigint): BenchResult => ({
  ...{ value: Number(openGas + closeGas), referenceValue: Number(referenceGas), unit: 'gas' },
  note: `open ${openGas}, close ${closeGas}`,
})

const relayed = 'relayed deposit, three transfers and a refund of the same token'

const inBatches = (count: number): BenchRow => ({
  name: `gas of a session in batches of ${count}, ${PROVIDERS} providers`,
  reference: relayed,
  better: 'lower',
  target: { ratio: 1 / 0.6 },
  run: () =>
    onChain(async (gasWorld) =>
      result(await batchedSessionGas(gasWorld, count), (await transfersGas(gasWorld)).relayedGas),
    ),
})

export const rows: BenchRow[] = [
  {
    name: 'gas of a session alone, relayed',
    reference: relayed,
    better: 'lower',
    target: { ratio: 1 / 0.8 },
    run: () =>
      onChain(async (gasWorld) =>
        result(await relayedSessionGas(gasWorld), (await transfersGas(gasWorld)).relayedGas),
      ),
  },
  {
    name: 'gas of a session alone, sent by agent and provider',
    reference: 'five plain transfers of the same token',
    better: 'lower',
    target: { ratio: 1 / 0.8 },
    run: () =>
      onChain(async (gasWorld) =>
        result(await directSessionGas(gasWorld), (await transfersGas(gasWorld)).directGas),
      ),
  },
  inBatches(10),
  inBatches(100),
  inBatches(LARGEST),
  {
    name: 'gas of a further claim on a kept channel, batch of 100',
    reference: 'a new channel in batches of 100',
    better: 'lower',
    run: () =>
      onChain(async (gasWorld) => {
        const { openGas, closeGas } = await batchedSessionGas(gasWorld, 100)
        const value = Number(await keptSessionGas(gasWorld, 100))
        return { value, referenceValue: Number(openGas + closeGas), unit: 'gas' }
      }),
  },
]
