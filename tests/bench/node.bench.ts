import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createScheduler } from '../../apps/provider-node/src/run/scheduler.ts'
import { createBubblewrapDriver } from '../../apps/provider-node/src/sandbox/bubblewrap.ts'
import type { Driver, Run, SandboxMode } from '../../apps/provider-node/src/sandbox/driver.ts'
import type { BenchResult, BenchRow } from './row.ts'
import { samplePair } from './sample.ts'

const PROGRAM = '/usr/bin/true'
const SLEEPER = '/usr/bin/sleep'
const ROUNDS = 150
/**
 * Forking this process makes the kernel copy its page tables, and each page that it writes afterwards costs it a fault. No
 * node ever forks, so what is measured after a bare spawn alone would be the reference's cost, not the sandbox's.
 */
const IN_A_ROW = 15
const SESSIONS = 8
const AT_ONCE = 64
const THROUGHPUT_RUNS = 1_000
/** A sandbox that is not ready by then will never be: this machine cannot make one. */
const READY_MS = 10_000

/** A driver of one mode with a workspace, and an empty tool in it. */
type Stand = {
  driver: Driver
  start(argv: readonly string[], session?: number): Run
  runEmpty(session?: number): Promise<void>
  close(): Promise<void>
}

async function openStand(mode: SandboxMode): Promise<Stand> {
  const root = mkdtempSync(join(tmpdir(), 'orien-bench-'))
  const driver = createBubblewrapDriver({ stateDir: join(root, 'state'), mode })
  const isolation = await driver.detect()
  if (isolation.mode !== mode)
    throw new TypeError(
      isolation.modeReason?.detail ?? isolation.refusal?.detail ?? `no ${mode} sandboxes here`,
    )
  const workspaces = Array.from({ length: SESSIONS }, (_, session) => join(root, `session-${session}`))
  for (const dir of workspaces) mkdirSync(dir)
  const limits = {
    timeMs: 60_000,
    memoryBytes: 67_108_864,
    processes: 8,
    outputBytes: 1_024,
    diskBytes: 1_048_576,
  }
  const start = (argv: readonly string[], session = 0) =>
    driver.run(
      {
        executionId: 'exe_bench',
        workspaceDir: workspaces[session] ?? root,
        argv,
        env: {},
        limits,
        deadlineMs: 60_000,
        readOnlyPaths: ['/usr/bin'],
      },
      () => {},
    )
  return {
    driver,
    start,
    runEmpty: async (session) => {
      const facts = await start([PROGRAM], session).finished
      if (facts.stop !== 'exit' || facts.exitCode !== 0)
        throw new TypeError(`the empty tool ended by ${facts.stop}: ${facts.detail ?? facts.exitCode}`)
    },
    close: async () => {
      await driver.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
}

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new TypeError(`the reference ended with ${code}`)
}

const bareSpawn = () => ended(spawn(PROGRAM, [], { stdio: 'ignore', env: {} }))

/** Namespaces and the system read-only: no meter, limits, filter or record. */
function bareSandbox(): Promise<void> {
  const system = ['/usr', '/lib', '/lib64', '/bin'].flatMap((path) => ['--ro-bind-try', path, path])
  const isolation = ['--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--clearenv']
  const mounts = ['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp']
  return ended(spawn('bwrap', [...isolation, ...system, ...mounts, '--', PROGRAM], { stdio: 'ignore' }))
}

/** An agent thinks between two runs: the next sandbox is ready by then. */
async function untilReady({ driver }: Stand): Promise<void> {
  const untilMs = performance.now() + READY_MS
  while (driver.counts().idle === 0) {
    if (performance.now() > untilMs) throw new TypeError(`no sandbox was ready within ${READY_MS} ms`)
    await pause(1)
  }
}

async function onStand<T>(mode: SandboxMode, use: (stand: Stand) => Promise<T>): Promise<T> {
  const stand = await openStand(mode)
  try {
    await stand.runEmpty()
    return await use(stand)
  } finally {
    await stand.close()
  }
}

async function latency(mode: SandboxMode, reference: () => Promise<void>): Promise<BenchResult> {
  return onStand(mode, async (stand) => {
    const getReady = mode === 'cold' ? async () => {} : () => untilReady(stand)
    let waitedMs = 0
    const pair = await samplePair({
      subject: () => stand.runEmpty(),
      reference,
      prepare: async () => {
        const beganMs = performance.now()
        await getReady()
        waitedMs += performance.now() - beganMs
      },
      rounds: ROUNDS,
      inARow: IN_A_ROW,
    })
    const note = `p99 ${pair.subject.p99Ms.toFixed(1)} against ${pair.reference.p99Ms.toFixed(1)} ms; until the next one was ready ${(waitedMs / ROUNDS).toFixed(1)} ms`
    return { value: pair.subject.p50Ms, referenceValue: pair.reference.p50Ms, unit: 'ms', note }
  })
}

/** How many a second, `width` at once and each as soon as the one before it is over. */
async function perSecond(
  width: number,
  count: number,
  run: (lane: number) => Promise<void>,
): Promise<number> {
  let left = count
  const beganMs = performance.now()
  await Promise.all(
    Array.from({ length: width }, async (_, lane) => {
      for (; left > 0; ) {
        left -= 1
        await run(lane)
      }
    }),
  )
  return (count * 1_000) / (performance.now() - beganMs)
}

async function throughput(): Promise<BenchResult> {
  const width = availableParallelism()
  return onStand('resident', async (stand) => {
    await perSecond(width, width * 20, (lane) => stand.runEmpty(lane % SESSIONS))
    const value = await perSecond(width, THROUGHPUT_RUNS, (lane) => stand.runEmpty(lane % SESSIONS))
    const referenceValue = await perSecond(width, THROUGHPUT_RUNS / 5, bareSpawn)
    return { value, referenceValue, unit: 'runs/s', note: `${width} at once` }
  })
}

/** A burst through the node's own queue; when each was over, counted from the burst. */
async function burst(run: (session: number) => Promise<void>): Promise<{ session: number; atMs: number }[]> {
  const scheduler = createScheduler(availableParallelism())
  const beganMs = performance.now()
  const over: { session: number; atMs: number }[] = []
  const runs = Array.from({ length: AT_ONCE }, (_, index) => {
    const done = Promise.withResolvers<void>()
    // The sessions come one after the other with all their runs, so that only the queue can be fair.
    const session = Math.floor((index * SESSIONS) / AT_ONCE)
    scheduler.enqueue(`${session}`, `${index}`, async () => {
      await run(session).then(done.resolve, done.reject)
      over.push({ session, atMs: performance.now() - beganMs })
    })
    return done.promise
  })
  await Promise.all(runs)
  return over
}

async function burstOf(mode: SandboxMode): Promise<BenchResult> {
  return onStand(mode, async (stand) => {
    await burst((session) => stand.runEmpty(session))
    const over = await burst((session) => stand.runEmpty(session))
    const reference = await burst(bareSandbox)
    const last = (of: typeof over) => of.at(-1)?.atMs ?? Number.NaN
    const firstOfEach = new Map(over.toReversed().map(({ session, atMs }) => [session, atMs]))
    const latestFirst = Math.max(...firstOfEach.values())
    const p99Ms = over[Math.ceil(AT_ONCE * 0.99) - 1]?.atMs ?? Number.NaN
    const note = `${over.length} of ${AT_ONCE} ended; p99 ${p99Ms.toFixed(0)} ms; every session had its first after ${latestFirst.toFixed(0)} ms; half were over after ${over[AT_ONCE / 2]?.atMs.toFixed(0)} ms`
    return { value: last(over), referenceValue: last(reference), unit: 'ms', note }
  })
}

/** From the decision to the death of the last process. */
async function killing(mode: SandboxMode): Promise<BenchResult> {
  return onStand(mode, async (stand) => {
    const subjectMs: number[] = []
    const referenceMs: number[] = []
    for (let round = 0; round < 30; round += 1) {
      const run = stand.start([SLEEPER, '60'])
      await run.started
      const beganMs = performance.now()
      run.kill('cancelled')
      await run.finished
      subjectMs.push(performance.now() - beganMs)
      const child = spawn(SLEEPER, ['60'], { stdio: 'ignore' })
      await once(child, 'spawn')
      const bareMs = performance.now()
      child.kill('SIGKILL')
      await once(child, 'exit')
      referenceMs.push(performance.now() - bareMs)
    }
    const middle = (all: number[]) => all.sort((a, b) => a - b)[all.length / 2] ?? Number.NaN
    const note = `slowest of 30: ${Math.max(...subjectMs).toFixed(1)} ms`
    return { value: middle(subjectMs), referenceValue: middle(referenceMs), unit: 'ms', note }
  })
}

const againstSpawn = 'bare spawn of the same program, p50'
const againstSandbox = 'bare bwrap around the same program, p50'

export const rows: BenchRow[] = [
  {
    name: 'node: empty tool, resident sandbox, dispatch to exit, p50',
    reference: againstSpawn,
    better: 'lower',
    target: { value: 1.5 },
    run: () => latency('resident', bareSpawn),
  },
  {
    name: 'node: empty tool, warm sandbox, dispatch to exit, p50',
    reference: againstSandbox,
    better: 'lower',
    target: { value: 6 },
    run: () => latency('warm', bareSandbox),
  },
  {
    name: 'node: empty tool, cold sandbox, dispatch to exit, p50',
    reference: againstSandbox,
    better: 'lower',
    target: { ratio: 1 / 1.3 },
    run: () => latency('cold', bareSandbox),
  },
  {
    name: 'node: empty tools a second, resident sandboxes',
    reference: 'bare spawn of the same program, as many at once',
    better: 'higher',
    target: { value: 900 },
    run: throughput,
  },
  {
    name: 'node: 64 empty tools of 8 sessions at once, resident, until the last',
    reference: '64 bare bwraps through the same queue',
    better: 'lower',
    run: () => burstOf('resident'),
  },
  {
    name: 'node: 64 empty tools of 8 sessions at once, warm, until the last',
    reference: '64 bare bwraps through the same queue',
    better: 'lower',
    run: () => burstOf('warm'),
  },
  {
    name: 'node: kill to all dead, warm sandbox, p50',
    reference: 'SIGKILL of a bare process, p50',
    better: 'lower',
    target: { value: 5 },
    run: () => killing('warm'),
  },
  {
    name: 'node: kill to all dead, cold sandbox, p50',
    reference: 'SIGKILL of a bare process, p50',
    better: 'lower',
    target: { value: 50 },
    run: () => killing('cold'),
  },
]
