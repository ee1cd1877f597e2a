import type { Context } from '../context.ts'
import { type Batcher, type BatcherOptions, createBatcher } from '../db/batcher.ts'

/** A batcher whose flushes and load are counted under a name. */
export function observedBatcher<I, O>(
  { metrics, clock }: Pick<Context, 'metrics' | 'clock'>,
  batcher: 'submit' | 'receipt' | 'log' | 'end',
  options: BatcherOptions<I, O>,
): Batcher<I, O> {
  const items = metrics.batchItems.labels(batcher)
  const seconds = metrics.batchSeconds.labels(batcher)
  const made = createBatcher<I, O>({
    ...options,
    flush: async (batch) => {
      const startMs = clock.monotonicMs()
      items.observe(batch.length)
      try {
        return await options.flush(batch)
      } finally {
        seconds.observe((clock.monotonicMs() - startMs) / 1_000)
      }
    },
  })
  metrics.batchers.set(batcher, made.load)
  return made
}
