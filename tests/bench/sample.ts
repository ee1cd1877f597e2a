/** Durations of many runs of one thing, in milliseconds. */
export type Durations = { p50Ms: number; p99Ms: number; meanMs: number }

type Pair = {
  subject: () => Promise<unknown>
  reference: () => Promise<unknown>
  rounds: number
  warmUpRounds?: number
}

async function durationMs(run: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await run()
  return performance.now() - startedMs
}

/** Sums a list of durations up. */
function summarise(durationsMs: readonly number[]): Durations {
  const sorted = durationsMs.toSorted((left, right) => left - right)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  const sumMs = sorted.reduce((total, each) => total + each, 0)
  return { p50Ms: at(0.5), p99Ms: at(0.99), meanMs: sumMs / sorted.length }
}

/**
 * Measures two things alternately, so that whatever else the machine does meanwhile hits both alike.
 *
 * @example
 * const { subject, reference } = await samplePair({ subject: viaApi, reference: direct, rounds: 200 })
 */
export async function samplePair(pair: Pair): Promise<{ subject: Durations; reference: Durations }> {
  const subjectMs: number[] = []
  const referenceMs: number[] = []
  for (let round = 0; round < (pair.warmUpRounds ?? 3); round++) {
    await pair.reference()
    await pair.subject()
  }
  for (let round = 0; round < pair.rounds; round++) {
    referenceMs.push(await durationMs(pair.reference))
    subjectMs.push(await durationMs(pair.subject))
  }
  return { subject: summarise(subjectMs), reference: summarise(referenceMs) }
}
