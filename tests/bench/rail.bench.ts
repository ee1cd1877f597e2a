import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '@orien/coordinator'
import { micros } from '@orien/protocol'
import { startRealNode } from '../harness/realNode.ts'
import { createAgent, startStack } from '../harness/stack.ts'
import type { BenchResult, BenchRow } from './row.ts'
import { samplePair } from './sample.ts'

const ROUNDS = 100
/** Coordinator and agent live in the process that forks for a bare sandbox, which slows what follows; see node.bench.ts. */
const IN_A_ROW = 10
/** By the number in flight: counted, not timed, so that a slow machine measures the same. */
const CALLS = { 1: 100, 16: 192, 64: 256 } as const
type InFlight = keyof typeof CALLS

const emptyTool = `
tools:
  - id: empty
    description: Does nothing
    arguments: { properties: {} }
    executable: /usr/bin/true
    argv: []
    readOnlyPaths: [/usr/bin]
    limits: { timeMs: 1000, memoryBytes: 67108864, processes: 4, diskBytes: 1048576, outputBytes: 1024 }
`

/** The sandbox alone, without meter, limits, filter or record: what isolation itself costs on this machine. */
function bareSandbox(): Promise<void> {
  const system = ['/usr', '/lib', '/lib64', '/bin'].flatMap((path) => ['--ro-bind-try', path, path])
  const isolation = ['--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--clearenv']
  const args = [
    ...isolation,
    ...system,
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    '--',
    '/usr/bin/true',
  ]
  return new Promise((resolve, reject) => {
    const child = spawn('bwrap', args, { stdio: 'ignore' })
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new TypeError(`bwrap ended with ${code}`))))
  })
}

type Rail = { call: () => Promise<void>; close: () => Promise<void> }

/** How the node isolates: a fresh sandbox for each run, or one that a session keeps. */
const MODES = ['warm', 'resident'] as const
type Mode = (typeof MODES)[number]

/** A whole stack with a real node, and a paid call on it. */
async function openRail(mode: Mode): Promise<Rail> {
  const dir = mkdtempSync(join(tmpdir(), 'orien-bench-'))
  const toolsFile = join(dir, 'tools.yaml')
  writeFileSync(toolsFile, emptyTool)
  const postgres = await startEmbeddedPostgres({ dataDir: join(dir, 'postgres') })
  const drop = async () => {}
  const stack = await startStack({}, { url: postgres.url, drop, [Symbol.asyncDispose]: drop })
  const node = await startRealNode(stack, { toolsFile, environment: { ORIEN_SANDBOX_MODE: mode } })
  const { orien } = await createAgent(stack, 1_000_000_000n)
  const session = await orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(500_000_000n),
  })
  return {
    call: async () => {
      const run = await session.execute({ tool: 'empty', args: {}, waitMs: 10_000 })
      if (run.result?.status !== 'completed')
        throw new TypeError(`the empty tool ended as ${run.result?.reason}: ${run.result?.stderr}`)
    },
    close: async () => {
      await node.stop()
      await stack.stop()
      await postgres.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Calls a second of so many, so many at once. */
async function perSecond(call: () => Promise<void>, inFlight: number, calls: number): Promise<number> {
  const startedMs = performance.now()
  let begun = 0
  const caller = async () => {
    while (begun++ < calls) await call()
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  return (calls / (performance.now() - startedMs)) * 1_000
}

type Figures = Record<'p50Ms' | 'p99Ms' | InFlight, { value: number; referenceValue: number }>

async function measure(mode: Mode): Promise<Figures> {
  const rail = await openRail(mode)
  try {
    const { subject, reference } = await samplePair({
      subject: rail.call,
      reference: bareSandbox,
      rounds: ROUNDS,
      warmUpRounds: 5,
      inARow: IN_A_ROW,
    })
    const rates = async (inFlight: InFlight) => {
      const calls = CALLS[inFlight]
      await perSecond(rail.call, inFlight, inFlight)
      const referenceValue = await perSecond(bareSandbox, inFlight, calls)
      return { value: await perSecond(rail.call, inFlight, calls), referenceValue }
    }
    return {
      p50Ms: { value: subject.p50Ms, referenceValue: reference.p50Ms },
      p99Ms: { value: subject.p99Ms, referenceValue: reference.p99Ms },
      1: await rates(1),
      16: await rates(16),
      64: await rates(64),
    }
  } finally {
    await rail.close()
  }
}

const figures = new Map<Mode, Promise<Figures>>()

/** All rows of a mode are of one run: a stack and a node for each row took longer than what they measure. */
function measured(mode: Mode): Promise<Figures> {
  const known = figures.get(mode) ?? measure(mode)
  figures.set(mode, known)
  return known
}

async function paidCall(mode: Mode, percentile: 'p50Ms' | 'p99Ms'): Promise<BenchResult> {
  const pair = (await measured(mode))[percentile]
  const overhead = (pair.value - pair.referenceValue).toFixed(1)
  return {
    ...pair,
    unit: 'ms',
    note: `overhead ${overhead} ms; the client signs and checks in the same process`,
  }
}

async function paidCalls(mode: Mode, inFlight: InFlight): Promise<BenchResult> {
  return { ...(await measured(mode))[inFlight], unit: 'per s', note: `${CALLS[inFlight]} calls` }
}

const reference = 'bare bwrap with the same program'

const rowsOf = (mode: Mode): BenchRow[] => [
  ...(['p50', 'p99'] as const).map(
    (percentile): BenchRow => ({
      name: `HTTP execute of an empty tool, ${mode} sandbox, Prefer: wait, ${percentile}`,
      reference: `${reference}, ${percentile}`,
      better: 'lower',
      run: () => paidCall(mode, `${percentile}Ms`),
    }),
  ),
  ...([1, 16, 64] as const).map(
    (inFlight): BenchRow => ({
      name: `HTTP executes of an empty tool, ${mode} sandbox, ${inFlight} in flight`,
      reference: `${reference}, ${inFlight} at once`,
      better: 'higher',
      run: () => paidCalls(mode, inFlight),
    }),
  ),
]

export const rows: BenchRow[] = MODES.flatMap(rowsOf)
