import { costMicros, deadlineMs, durationMs, micros } from '@orien/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RunFacts, Stop } from '../sandbox/driver.ts'
import { failureOf, freeOutcome, outcomeOf } from './outcome.ts'

const facts = (given: Partial<RunFacts>): RunFacts => ({
  stop: 'exit',
  exitCode: 0,
  signal: null,
  effectiveMicros: 1_000,
  lifeMs: 1,
  cpuMicros: 1_000,
  maxRssBytes: 1,
  sources: { wall: 'helper', cpu: 'helper', memory: 'helper' },
  outputBytes: 0,
  outputSha256: '',
  ...given,
})
const LOG = { sha256: 'a'.repeat(64), bytes: 0 }
const NO_FILES = { inputs: [], outputs: [] }
const short = { deadlineMs: 500, timeLimitMs: 1_000 }
const full = { deadlineMs: 1_000, timeLimitMs: 1_000 }

describe('why a run failed', () => {
  test.each([
    ['exit', 0, short, undefined],
    ['exit', 3, short, 'nonzero_exit'],
    ['exit', null, short, 'nonzero_exit'],
    ['deadline', null, short, 'budget_exhausted'],
    ['deadline', null, full, 'timed_out'],
    ['time_limit', null, full, 'timed_out'],
    ['cancelled', null, short, 'cancelled'],
    ['output_limit', null, short, 'output_limit'],
    ['out_of_memory', null, short, 'out_of_memory'],
    ['disk_limit', null, short, 'disk_limit'],
    ['sandbox_error', null, short, 'sandbox_error'],
  ] as const)('stop %s with exit status %s means %s', (stop, exitCode, terms, reason) => {
    expect(failureOf({ stop, exitCode }, terms)).toBe(reason)
  })

  test('a tool that ended by itself before the kill reached it keeps its own ending', () => {
    expect(failureOf({ stop: 'exit', exitCode: 0 }, short, 'sandbox_error')).toBeUndefined()
    expect(failureOf({ stop: 'cancelled', exitCode: null }, short, 'authorization_expired')).toBe(
      'authorization_expired',
    )
  })
})

describe('what a run costs', () => {
  const stop = fc.constantFrom<Stop>(
    'exit',
    'time_limit',
    'deadline',
    'cancelled',
    'output_limit',
    'out_of_memory',
    'disk_limit',
    'sandbox_error',
  )

  test('never more than its hold, never nothing for a run that was executed, whatever the driver measured', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: 10n ** 12n }),
        fc.bigInt({ min: 1n, max: 10n ** 12n }),
        fc.nat({ max: 2 ** 40 }),
        stop,
        (rate, hold, effectiveMicros, stopped) => {
          const rateMicrosPerMinute = micros(rate)
          const holdMicros = micros(hold)
          const deadline = deadlineMs(holdMicros, rateMicrosPerMinute)
          fc.pre(deadline >= 1)
          const terms = { rateMicrosPerMinute, deadlineMs: deadline, timeLimitMs: deadline }
          const outcome = outcomeOf(facts({ stop: stopped, effectiveMicros }), terms, NO_FILES, LOG)
          expect(outcome.costMicros).toBeLessThanOrEqual(holdMicros)
          expect(outcome.costMicros).toBe(costMicros(rateMicrosPerMinute, durationMs(outcome.effectiveMs)))
          expect(outcome.effectiveMs).toBeLessThanOrEqual(deadline)
          expect(outcome.effectiveMs === 0).toBe(outcome.reason === 'sandbox_error')
        },
      ),
    )
  })

  test('a node that stops by its own wish charges nothing for what it threw away', () => {
    const terms = { rateMicrosPerMinute: micros(600_000n), ...full }
    const outcome = outcomeOf(
      facts({ stop: 'cancelled', effectiveMicros: 900_000 }),
      terms,
      NO_FILES,
      LOG,
      'sandbox_error',
    )
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'sandbox_error',
      effectiveMs: 0,
      costMicros: 0n,
    })
  })

  test('a cancelled run is paid up to its kill', () => {
    const terms = { rateMicrosPerMinute: micros(600_000n), ...full }
    const outcome = outcomeOf(
      facts({ stop: 'cancelled', effectiveMicros: 250_000 }),
      terms,
      NO_FILES,
      LOG,
      'cancelled',
    )
    expect(outcome).toMatchObject({ reason: 'cancelled', effectiveMs: 250, costMicros: 2_500n })
  })

  test('a run that never began costs nothing and says what was printed about it', () => {
    expect(freeOutcome('rejected', LOG)).toMatchObject({
      effectiveMs: 0,
      costMicros: 0n,
      logHash: LOG.sha256,
    })
  })
})
