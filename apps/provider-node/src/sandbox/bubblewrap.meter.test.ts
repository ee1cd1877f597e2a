import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, openBench, SANDBOX_MODES } from './testing/bench.ts'

const MEBIBYTE = 1_048_576
const CPU_TOLERANCE_MICROS = 10_000

/** 10 ms or 2 %, whichever is more. */
const expectCpu = (cpuMicros: number, burntMs: number) => {
  expect(cpuMicros).toBeGreaterThanOrEqual(burntMs * 1_000)
  expect(cpuMicros - burntMs * 1_000).toBeLessThanOrEqual(Math.max(CPU_TOLERANCE_MICROS, burntMs * 20))
}

const SOURCES = [
  { name: 'with cgroups', useCgroups: true, source: 'cgroup' },
  { name: 'with the helper alone', useCgroups: false, source: 'helper' },
]

describe.each(SANDBOX_MODES.flatMap((mode) => SOURCES.map((source) => ({ mode, ...source }))))(
  'the meter $name in a $mode sandbox',
  ({ mode, useCgroups, source }) => {
    let bench: Bench
    beforeAll(async () => {
      bench = await openBench({ mode, useCgroups })
    })
    afterAll(() => bench.close())

    it.each([
      ['100 ms in one process', ['burn', '100'], 100],
      ['4 × 100 ms in children at once', ['children', '4', '100'], 400],
      ['20 × 5 ms in short-lived children', ['children', '20', '5'], 100],
      ['3 × 80 ms in orphans that nobody waits for', ['orphans', '3', '80'], 240],
    ])('counts the processor time of the whole tree: %s', async (_, words, burntMs) => {
      const facts = await bench.run(words)
      expect(facts).toMatchObject({ stop: 'exit', exitCode: 0, sources: { cpu: source, wall: 'helper' } })
      expectCpu(facts.cpuMicros, burntMs)
    })

    it('counts time that a tool sleeps, but no processor time for it', async () => {
      const facts = await bench.run(['sleep', '200'])
      expect(facts.effectiveMicros).toBeGreaterThanOrEqual(200_000)
      expect(facts.cpuMicros).toBeLessThan(CPU_TOLERANCE_MICROS)
    })

    it('counts from exec, not from the start of the sandbox', async () => {
      const before = performance.now()
      const facts = await bench.run(['sleep', '0'])
      expect(facts.effectiveMicros).toBeGreaterThan(0)
      expect(facts.effectiveMicros / 1_000).toBeLessThan(performance.now() - before)
    })

    it('sees the memory of a process that touches 64 MiB', async () => {
      const facts = await bench.run(['memory', '64'])
      expect(facts.sources.memory).toBe(source)
      // The kernel counts resident pages in per-processor batches, so the figure may lag by some of them.
      expect(facts.maxRssBytes).toBeGreaterThan(63 * MEBIBYTE)
      expect(facts.maxRssBytes).toBeLessThan(66 * MEBIBYTE)
    })
  },
)
