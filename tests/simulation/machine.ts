import { sha256Hex } from '@orien/protocol'
import type { Workspaces } from '../../apps/provider-node/src/run/workspaces.ts'
import type { Driver, Run, RunFacts, Stop } from '../../apps/provider-node/src/sandbox/driver.ts'
import type { Chance } from '../harness/chance.ts'
import type { SimulatedClock } from './time.ts'

const SOURCES = { wall: 'helper', cpu: 'helper', memory: 'helper' } as const
const OUTPUT = Buffer.from('output\n')

/** Stands in for a sandbox: tools that take the time that chance gives them, and die with their process. */
export function createSimulatedDriver(
  clock: SimulatedClock,
  chance: Chance,
  onStart: (executionId: string) => void,
): Driver & { die: () => void } {
  let isDead = false
  const run: Driver['run'] = ({ executionId, deadlineMs: firstMs, limits }, onOutput): Run => {
    let deadlineMs = firstMs
    let cancelEnd = () => {}
    const setUpMs = chance.below(20)
    const toolMs = chance.pick([1, 40, 400, 4_000, 90_000])
    const started = Promise.withResolvers<number>()
    const finished = Promise.withResolvers<RunFacts>()
    let beganMs: number | null = null
    const end = (stop: Stop) => {
      if (isDead) return
      const lifeMs = beganMs === null ? 0 : clock.monotonicMs() - beganMs
      finished.resolve(factsOf(stop, { lifeMs, deadlineMs, hasBegun: beganMs !== null }))
    }
    const endInTime = (fromMs: number) => {
      const limitMs = Math.min(deadlineMs, limits.timeMs)
      const stop = deadlineMs <= limits.timeMs ? 'deadline' : 'time_limit'
      const inMs = fromMs + Math.min(toolMs, limitMs) - clock.monotonicMs()
      cancelEnd = clock.after(Math.max(0, inMs), () => end(toolMs <= limitMs ? 'exit' : stop))
    }
    clock.after(setUpMs, () => {
      if (isDead) return
      beganMs = clock.monotonicMs()
      started.resolve(0)
      onStart(executionId)
      void onOutput({ stream: 'stdout', bytes: OUTPUT })
      endInTime(beganMs)
    })
    const extend = (laterMs: number) => {
      if (laterMs <= deadlineMs) return
      deadlineMs = laterMs
      if (beganMs === null) return
      cancelEnd()
      endInTime(beganMs)
    }
    return { started: started.promise, finished: finished.promise, kill: end, extend }
  }
  return {
    name: 'process',
    detect: () => Promise.reject(new TypeError('nothing is detected in a simulation')),
    run,
    release: async () => {},
    counts: () => ({ idle: 0, made: 0, reused: 0, discarded: 0 }),
    close: async () => {},
    die: () => {
      isDead = true
    },
  }
}

function factsOf(stop: Stop, ran: { lifeMs: number; deadlineMs: number; hasBegun: boolean }): RunFacts {
  const { lifeMs, deadlineMs, hasBegun } = ran
  const effectiveMicros = Math.min(lifeMs, deadlineMs) * 1_000
  const output = hasBegun ? OUTPUT : Buffer.alloc(0)
  const told = { outputBytes: output.length, outputSha256: sha256Hex(output.toString('utf8')) }
  const code = stop === 'exit' ? { exitCode: 0, signal: null } : { exitCode: null, signal: 'SIGKILL' }
  return { stop, ...code, effectiveMicros, lifeMs, cpuMicros: 0, maxRssBytes: 0, sources: SOURCES, ...told }
}

/** Nothing is in them: files are no matter of this simulation. */
export const EMPTY_WORKSPACES = {
  open: async () => '/nowhere',
  list: async () => [],
  destroy: async () => {},
  close: async () => {},
} as unknown as Workspaces
