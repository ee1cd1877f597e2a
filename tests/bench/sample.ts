/** Durations of many runs of one thing, in milliseconds. */
export type Durations = { p50Ms: number; p99Ms: number; meanMs: number }

type Pair = {
  subject: () => Promise<unknown>
  reference: () => Promise<unknown>
  /** Before every subject, and not counted. */
  prepare?: () => Promise<unknown>
  rounds: number
  warmUpRounds?: number
  /** How many of each follow one another, 1 unless told. A reference may leave the machine unlike what it was. */
  inARow?: number
}

/** Measures by the wall clock. */
export async function wallMs(run: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await run()
  return performance.now() - startedMs
}

/** Measures by this process's own processor time, which other work on the machine stretches less than the wall clock. */
export async function processorMs(run: () => Promise<unknown>): Promise<number> {
  const started = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(started)
  return (user + system) / 1_000
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
    await pair.prepare?.()
    await pair.subject()
  }
  const inARow = pair.inARow ?? 1
  for (let round = 0; round < pair.rounds; round += inARow) {
    for (let each = 0; each < inARow; each++) referenceMs.push(await wallMs(pair.reference))
    for (let each = 0; each < inARow; each++) {
      await pair.prepare?.()
      subjectMs.push(await wallMs(pair.subject))
    }
  }
  return { subject: summarise(subjectMs), reference: summarise(referenceMs) }
}

type Rates<T> = {
  /** Items that each call works through. */
  count: number
  rounds: number
  /** {@link processorMs} for what only computes, {@link wallMs} for what waits. */
  clock: (run: () => Promise<unknown>) => Promise<number>
  /** Makes a round's input before the clock runs. */
  prepare: () => T
  subject: (input: T) => Promise<unknown>
  reference: (input: T) => unknown
}

/**
 * Items per second of two things measured alternately, each at the median of its rounds, after one round to warm up.
 *
 * @example
 * const { value, referenceValue } = await rateBeside({ count: 1_000, rounds: 5, clock: wallMs, prepare, subject, reference })
 */
export async function rateBeside<T>(rates: Rates<T>): Promise<{ value: number; referenceValue: number }> {
  const { count, rounds, clock, prepare, subject, reference } = rates
  const subjectMs: number[] = []
  const referenceMs: number[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const input = prepare()
    const bareMs = await clock(async () => reference(input))
    const wholeMs = await clock(() => subject(input))
    if (round === 0) continue
    referenceMs.push(bareMs)
    subjectMs.push(wholeMs)
  }
  const perSecond = (durationsMs: number[]) => (count / summarise(durationsMs).p50Ms) * 1_000
  return { value: perSecond(subjectMs), referenceValue: perSecond(referenceMs) }
}
