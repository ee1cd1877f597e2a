import { expect, test } from 'vitest'
import { RunTimer } from './runTimer.ts'
import { ROOMY } from './testing/bench.ts'

const spec = {
  executionId: 'exe_any',
  argv: ['/bin/true'],
  env: {},
  workspaceDir: '/',
  readOnlyPaths: [],
  limits: ROOMY,
  deadlineMs: 60_000,
}

test('a run that was cancelled on its way to the start is killed as soon as it is there, and costs nothing', () => {
  const killed: string[] = []
  const timer = new RunTimer(spec, () => killed.push(timer.stop))
  timer.end('cancelled')
  timer.begin()
  timer.extend(90_000)
  timer.close()
  expect(killed).toEqual(['cancelled', 'cancelled'])
  expect(timer.facts('cancelled')).toMatchObject({ effectiveMicros: 0 })
})

test('the first reason for an end is the one that counts', () => {
  const timer = new RunTimer(spec, () => {})
  timer.begin()
  timer.end('output_limit')
  timer.end('cancelled')
  timer.close()
  expect(timer.stop).toBe('output_limit')
})
