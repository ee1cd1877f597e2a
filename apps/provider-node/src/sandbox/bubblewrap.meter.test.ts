import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, openBench, SANDBOX_MODES } from './testing/bench.ts'

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

    it('says where each figure was read', async () => {
      const { sources } = await bench.run(['burn', '20'])
      expect(sources).toEqual({ wall: 'helper', cpu: source, memory: source, io: 'helper' })
    })
  },
)
