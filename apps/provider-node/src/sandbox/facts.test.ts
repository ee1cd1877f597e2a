import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HelperReport } from './channel.ts'
import { concludeRun, decodeWaitStatus, type Evidence } from './facts.ts'

const REPORT: HelperReport = {
  startNs: 1_000_000_000n,
  endNs: 1_100_000_000n,
  stopNs: 0n,
  cpuMicros: 5_000,
  ownCpuMicros: 200,
  maxRssBytes: 4_096,
  outputBytes: 0,
  waitStatus: 0,
  stop: 'none',
  diskFull: false,
}
const EVIDENCE: Evidence = {
  report: REPORT,
  elapsedMicros: 100_000,
  limitMs: 1_000,
  deadlineMs: 2_000,
}
const FAILED = 1 << 8
const group = { cpuMicros: 6_000, peakBytes: 8_192, oomKills: 0 }

const conclude = (report: Partial<HelperReport>, rest: Partial<Evidence> = {}) =>
  concludeRun({ ...EVIDENCE, ...rest, report: { ...REPORT, ...report } })

const withoutReport = (rest: Partial<Evidence>) => {
  const { report: _, ...evidence } = EVIDENCE
  return concludeRun({ ...evidence, ...rest })
}

describe('why a run ended', () => {
  it.each([
    ['status 0 is an exit even with a full disk', conclude({ diskFull: true }), 'exit'],
    [
      'status 0 is an exit even after an out-of-memory kill in the tree',
      conclude({}, { cgroup: { ...group, oomKills: 2 } }),
      'exit',
    ],
    ['a failure with a full disk', conclude({ waitStatus: FAILED, diskFull: true }), 'disk_limit'],
    ['SIGXFSZ', conclude({ waitStatus: 25 }), 'disk_limit'],
    [
      'a failure after the kernel killed for memory',
      conclude({ waitStatus: 9 }, { cgroup: { ...group, oomKills: 1 } }),
      'out_of_memory',
    ],
    [
      'the helper found the tree too large',
      conclude({ stop: 'out_of_memory', waitStatus: 9 }),
      'out_of_memory',
    ],
    [
      'the helper’s own stop wins over what it led to',
      conclude({ stop: 'deadline', waitStatus: 9, diskFull: true }),
      'deadline',
    ],
    ['a kill from outside without a report', withoutReport({ nodeStop: 'time_limit' }), 'time_limit'],
    ['no report and no reason', withoutReport({}), 'sandbox_error'],
    [
      'no report because the kernel killed the helper too',
      withoutReport({ cgroup: { ...group, oomKills: 1 } }),
      'out_of_memory',
    ],
  ])('%s', (_, facts, stop) => {
    expect(facts.stop).toBe(stop)
  })

  it('a wait status is taken apart as wait(2) says', () => {
    expect(decodeWaitStatus(0)).toEqual({ exitCode: 0, signal: null })
    expect(decodeWaitStatus(255 << 8)).toEqual({ exitCode: 255, signal: null })
    expect(decodeWaitStatus(9)).toEqual({ exitCode: null, signal: 'SIGKILL' })
    expect(decodeWaitStatus(11 | 0x80)).toEqual({ exitCode: null, signal: 'SIGSEGV' })
    expect(decodeWaitStatus(34)).toEqual({ exitCode: null, signal: 'SIG34' })
  })
})

describe('effective time', () => {
  it('ends at the decision to kill, not at the last death', () => {
    expect(conclude({ stop: 'cancelled', stopNs: 1_040_000_000n }).effectiveMicros).toBe(40_000)
  })

  it('is never more than the tool’s limit or the grant’s deadline, and never negative', () => {
    const ns = fc.bigInt({ min: 0n, max: 10n ** 13n })
    fc.assert(
      fc.property(ns, ns, fc.nat(10_000), fc.nat(10_000), (start, length, limitMs, deadlineMs) => {
        const { effectiveMicros } = conclude(
          { startNs: start, endNs: start + length },
          { limitMs, deadlineMs },
        )
        expect(effectiveMicros).toBeGreaterThanOrEqual(0)
        expect(effectiveMicros).toBeLessThanOrEqual(Math.min(limitMs, deadlineMs) * 1_000)
        expect(BigInt(effectiveMicros)).toBeLessThanOrEqual(length / 1_000n)
      }),
    )
  })

  it('is nothing when the sandbox failed', () => {
    expect(withoutReport({ nodeStop: 'sandbox_error' }).effectiveMicros).toBe(0)
  })
})

describe('where figures come from', () => {
  it('a cgroup’s time is told without the helper’s own share', () => {
    expect(conclude({}, { cgroup: group })).toMatchObject({
      cpuMicros: 5_800,
      maxRssBytes: 8_192,
      sources: { wall: 'helper', cpu: 'cgroup', memory: 'cgroup' },
    })
  })

  it('the helper’s figures stand in where there is no cgroup, the node’s where there is no helper', () => {
    expect(conclude({})).toMatchObject({ cpuMicros: 5_000, sources: { cpu: 'helper', memory: 'helper' } })
    expect(withoutReport({}).sources).toEqual({ wall: 'node', cpu: 'node', memory: 'node' })
  })

  it('bytes moved are the helper’s even where there is a cgroup, and absent where nobody counted them', () => {
    const io = { readBytes: 3, writtenBytes: 4 }
    expect(conclude({ io }, { cgroup: group })).toMatchObject({ io, sources: { io: 'helper' } })
    for (const facts of [conclude({}), withoutReport({ cgroup: group })]) {
      expect(facts).not.toHaveProperty('io')
      expect(facts.sources).not.toHaveProperty('io')
    }
  })

  it('memory is the helper’s where the kernel keeps no peak of a group, never nothing', () => {
    const facts = conclude({ maxRssBytes: 4_096 }, { cgroup: { ...group, peakBytes: null } })
    expect(facts).toMatchObject({ maxRssBytes: 4_096, sources: { cpu: 'cgroup', memory: 'helper' } })
  })
})
