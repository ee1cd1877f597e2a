import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '@orien/coordinator'
import { micros, OrienError, readReceipt } from '@orien/protocol'
import type { Execution, Session } from '@orien/sdk'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack } from '../harness/stack.ts'
import type { BenchResult, BenchRow } from './row.ts'

/** 60 USDC a minute: a millisecond costs a round 1,000 micro-USDC. */
const RATE = 60_000_000n
const ROUNDS = 20
const SESSIONS = 100
const OPENED_AT_ONCE = 50

const limits = 'memoryBytes: 67108864, processes: 8, diskBytes: 1048576, outputBytes: 1024'
const tools = `
tools:
  - id: nap
    description: Sleeps in a tree of processes that no signal but the last one ends
    arguments: { properties: {} }
    executable: /usr/bin/timeout
    argv: [{ kind: literal, value: "60" }, { kind: literal, value: "/usr/bin/sleep" }, { kind: literal, value: "60" }]
    readOnlyPaths: [/usr/bin]
    limits: { timeMs: 30000, ${limits} }
  - id: clock
    description: Prints the time
    arguments: { properties: {} }
    executable: /usr/bin/date
    argv: [{ kind: literal, value: "+%s%3N" }]
    readOnlyPaths: [/usr/bin]
    limits: { timeMs: 5000, ${limits} }
`

type World = { stack: Stack; session: (budgetMicros?: bigint) => Promise<Session> }

async function withNode<T>(use: (world: World) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'orien-bench-'))
  const toolsFile = join(dir, 'tools.yaml')
  writeFileSync(toolsFile, tools)
  const postgres = await startEmbeddedPostgres({ dataDir: join(dir, 'postgres') })
  const drop = async () => {}
  const stack = await startStack({}, { url: postgres.url, drop, [Symbol.asyncDispose]: drop })
  const node = await startRealNode(stack, { toolsFile, rateMicrosPerMinute: RATE })
  try {
    const { orien } = await createAgent(stack, 100_000_000_000n)
    const session = (budgetMicros = 1_000_000_000n) =>
      orien.openSession({ providerId: node.providerId, budgetMicros: micros(budgetMicros) })
    return await use({ stack, session })
  } finally {
    await node.stop()
    await stack.stop()
    await postgres.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

const at = (sortedMs: number[], share: number) =>
  sortedMs.toSorted((left, right) => left - right)[
    Math.min(sortedMs.length - 1, Math.floor(sortedMs.length * share))
  ] ?? Number.NaN

/** What the node's clock says about a run that is over. */
function receiptOf(run: Execution) {
  const receipt = readReceipt(run.result?.receipt ?? '')?.receipt
  if (!receipt) throw new TypeError(`the run ended as ${run.result?.reason} without a receipt`)
  return receipt
}

async function isRunning(session: Session, run: Execution): Promise<void> {
  for await (const message of session.events()) {
    const isStart = message.kind === 'event' && message.event.type === 'execution.started'
    if (isStart && message.event.data.executionId === run.id) return
  }
}

const napping = async (session: Session, milliseconds = 20_000n): Promise<Execution> => {
  const run = await session.execute({ tool: 'nap', args: {}, maxCostMicros: micros(milliseconds * 1_000n) })
  await isRunning(session, run)
  return run
}

/** The same without ORIEN: a bare process, killed. @returns from the kill to its end */
async function bareKill(): Promise<number> {
  const child: ChildProcess = spawn('/usr/bin/sleep', ['60'])
  await once(child, 'spawn')
  const exited = once(child, 'exit')
  const startedMs = Date.now()
  child.kill('SIGKILL')
  await exited
  return Date.now() - startedMs
}

/** A bare timer and a kill. @returns milliseconds past the timer's own time */
async function bareDeadline(timeMs: number): Promise<number> {
  const child: ChildProcess = spawn('/usr/bin/sleep', ['60'])
  await once(child, 'spawn')
  const startedMs = Date.now()
  setTimeout(() => child.kill('SIGKILL'), timeMs)
  await once(child, 'exit')
  return Date.now() - startedMs - timeMs
}

/** A bare pipe. @returns from the time that the program prints to its line being here */
async function bareLine(): Promise<number> {
  const child = spawn('/usr/bin/date', ['+%s%3N'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [data] = (await once(child.stdout, 'data')) as [Buffer]
  return Date.now() - Number(data.toString())
}

async function collect(
  round: () => Promise<number>,
  bare: () => Promise<number>,
): Promise<{ ours: number[]; bares: number[] }> {
  const ours: number[] = []
  const bares: number[] = []
  for (let index = 0; index < ROUNDS; index += 1) {
    bares.push(await bare())
    ours.push(await round())
  }
  return { ours, bares }
}

async function deadline(): Promise<BenchResult> {
  return withNode(async ({ session: open }) => {
    const session = await open()
    const { ours, bares } = await collect(
      async () => {
        const run = await session.execute({ tool: 'nap', args: {}, maxCostMicros: micros(300_000n) })
        await run.wait()
        const { startedAt, endedAt, deadlineMs } = receiptOf(run)
        return Date.parse(endedAt) - Date.parse(startedAt) - deadlineMs
      },
      () => bareDeadline(300),
    )
    const note = `the longest of ${ROUNDS}, by the helper's clock in the receipts; p50 ${at(ours, 0.5)} ms`
    return { value: Math.max(...ours, 1), referenceValue: Math.max(...bares, 1), unit: 'ms', note }
  })
}

async function cancelled(): Promise<BenchResult> {
  return withNode(async ({ session: open }) => {
    const session = await open()
    const { ours, bares } = await collect(async () => {
      const run = await napping(session)
      const askedMs = Date.now()
      await run.cancel()
      await run.wait()
      return Date.parse(receiptOf(run).endedAt) - askedMs
    }, bareKill)
    const note = `p95 of ${ROUNDS}; from the agent's call to the end in the receipt, one machine's clock`
    return {
      value: Math.max(at(ours, 0.95), 1),
      referenceValue: Math.max(at(bares, 0.95), 1),
      unit: 'ms',
      note,
    }
  })
}

async function ended(): Promise<BenchResult> {
  return withNode(async ({ session: open }) => {
    const { ours, bares } = await collect(async () => {
      const session = await open(50_000_000n)
      const run = await napping(session)
      const askedMs = Date.now()
      await session.end()
      const refused = await session.execute({ tool: 'nap', args: {} }).catch((error: unknown) => error)
      if (!(refused instanceof OrienError)) throw new TypeError('an ending session took a run')
      const closedMs = Date.now() - askedMs
      await run.wait()
      return Math.max(closedMs, Date.parse(receiptOf(run).endedAt) - askedMs)
    }, bareKill)
    const note = `p95 of ${ROUNDS}; until a new run is refused and the running one is dead by its receipt`
    return { value: at(ours, 0.95), referenceValue: Math.max(at(bares, 0.95), 1), unit: 'ms', note }
  })
}

async function firstLine(): Promise<BenchResult> {
  return withNode(async ({ session: open }) => {
    const session = await open()
    const { ours, bares } = await collect(async () => {
      const run = await session.execute({ tool: 'clock', args: {}, maxCostMicros: micros(1_000_000n) })
      for await (const piece of run.logs()) return Date.now() - Number(piece.text)
      throw new TypeError('the clock printed nothing')
    }, bareLine)
    const note = `p50 of ${ROUNDS}; from the tool's own clock to the agent, stored on the way`
    return {
      value: Math.max(at(ours, 0.5), 1),
      referenceValue: Math.max(at(bares, 0.5), 1),
      unit: 'ms',
      note,
    }
  })
}

async function settledTogether(): Promise<BenchResult> {
  return withNode(async ({ stack, session: open }) => {
    const sessions: Session[] = []
    let begun = 0
    const one = async () => {
      while (begun < SESSIONS) {
        begun += 1
        const session = await open(2_000_000n)
        sessions.push(session)
        await session.run({ tool: 'clock', args: {}, maxCostMicros: micros(1_000_000n) })
      }
    }
    await Promise.all(Array.from({ length: OPENED_AT_ONCE }, one))
    const tookMs = await Promise.all(
      sessions.map(async (session) => {
        await session.end()
        const times = new Map<string, number>()
        for await (const message of session.events())
          if (message.kind === 'event') times.set(message.event.type, Date.parse(message.event.at))
        return (times.get('session.settled') ?? Number.NaN) - (times.get('session.ending') ?? Number.NaN)
      }),
    )
    const bareMs: number[] = []
    const startedMs = Date.now()
    for (let index = 0; index < sessions.length; index += 1) {
      await stack.chain.mint(privateKeyToAccount(generatePrivateKey()).address, 1n)
      bareMs.push(Date.now() - startedMs)
    }
    const note = `p95 of ${sessions.length}, between the events session.ending and session.settled; p50 ${at(tookMs, 0.5)} ms`
    return { value: at(tookMs, 0.95), referenceValue: at(bareMs, 0.95), unit: 'ms', note }
  })
}

export const rows: BenchRow[] = [
  {
    name: 'bound: deadline to all processes dead',
    reference: 'a bare timer that kills a bare process',
    better: 'lower',
    target: { value: 50 },
    run: deadline,
  },
  {
    name: 'bound: cancel to dead',
    reference: 'kill of a bare process until its exit is known',
    better: 'lower',
    run: cancelled,
  },
  {
    name: 'bound: end of a session to no new run and none alive',
    reference: 'kill of a bare process until its exit is known',
    better: 'lower',
    target: { value: 2_000 },
    run: ended,
  },
  {
    name: 'bound: first line of output at the agent',
    reference: 'the same line through a bare pipe, start of the reader included',
    better: 'lower',
    run: firstLine,
  },
  {
    name: `bound: settlement of ${SESSIONS} sessions that end together, close to final`,
    reference: `${SESSIONS} bare USDC transactions one after the other on the same chain`,
    better: 'lower',
    target: { value: 2_000 },
    run: settledTogether,
  },
]
