import type { ServerMemory } from './messages.ts'

/** Sizes after garbage is collected; the process has to be started with --expose-gc. */
export function readMemory(): ServerMemory {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { memory: { rssBytes: rss, heapBytes: heapUsed + external } }
}
