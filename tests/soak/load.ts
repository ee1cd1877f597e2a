import { setTimeout as pause } from 'node:timers/promises'
import { type Id, micros, OrienError } from '@orien/protocol'
import type { Orien, Session } from '@orien/sdk'
import { createAgent } from '../harness/stack.ts'
import type { SoakPlace } from './place.ts'

/** What the agents saw since somebody last asked. */
type Tally = { runs: number; failures: Map<string, number>; latenciesMs: number[]; settled: number }

/** Agents at work until they are told to stop. */
export type Load = { take: () => Tally; stop: () => Promise<void> }

const RUNS_PER_SESSION = 12
const AFTER_FAILURE_MS = 1_000
const CALL_MS = 90_000

const emptyTally = (): Tally => ({ runs: 0, failures: new Map(), latenciesMs: [], settled: 0 })

type Work = { session: Session; place: SoakPlace }

const script = (code: string) => ({ tool: 'execute_script', args: { language: 'javascript', code } })

/** One of everything that agents do, by turns; what is wrong on purpose is wrong as people are. */
const TURNS: readonly ((work: Work) => Promise<unknown>)[] = [
  ({ session }) => session.run(script('1')),
  ({ session }) => session.run(script(`console.log('x'.repeat(20_000))`)),
  ({ session }) => session.run(script('process.exit(3)')),
  async ({ session }) => {
    const run = await session.execute(script('setInterval(() => {}, 1000)'))
    await run.cancel()
    await run.wait({ signal: AbortSignal.timeout(CALL_MS) })
  },
  async ({ session }) => {
    await session.upload('data.txt', 'x'.repeat(100_000))
    await session.run(script(`console.log(require('node:fs').readFileSync('data.txt').length)`))
    await session.download('data.txt')
  },
  async ({ session, place }) => {
    await fetch(`${place.url}/api/sessions/${session.id}`, { headers: { authorization: 'Bearer nobody' } })
    await fetch(`${place.url}/api/providers?limit=1000`)
    await session.run({ tool: 'no_such_tool', args: {} }).catch(() => {})
  },
  async ({ session, place }) => {
    const gone = new AbortController()
    await session.run(script('2'))
    await fetch(`${place.url}/api/docs`, { signal: gone.signal })
    gone.abort()
    await session.state()
  },
]

async function oneSession(place: SoakPlace, orien: Orien, providerId: Id<'provider'>, tally: () => Tally) {
  const session = await orien.openSession({ providerId, budgetMicros: micros(50_000_000n) })
  try {
    for (let turn = 0; turn < RUNS_PER_SESSION; turn += 1) {
      const beganMs = performance.now()
      await TURNS[turn % TURNS.length]?.({ session, place })
      tally().runs += 1
      tally().latenciesMs.push(performance.now() - beganMs)
    }
  } finally {
    await session.end({ signal: AbortSignal.timeout(CALL_MS) })
  }
  await session.settled({ signal: AbortSignal.timeout(CALL_MS) })
  tally().settled += 1
}

/** @param providers one agent for each entry */
export async function startLoad(place: SoakPlace, providers: readonly Id<'provider'>[]): Promise<Load> {
  let tally = emptyTally()
  let isStopping = false
  const agents = await Promise.all(
    providers.map(async (providerId) => ({
      providerId,
      orien: (await createAgent(place.asStack(), 1_000_000_000_000n)).orien,
    })),
  )
  const work = agents.map(async ({ orien, providerId }) => {
    while (!isStopping)
      await oneSession(place, orien, providerId, () => tally).catch(async (error: unknown) => {
        const code = error instanceof OrienError ? error.code : String(error).slice(0, 80)
        tally.failures.set(code, (tally.failures.get(code) ?? 0) + 1)
        await pause(AFTER_FAILURE_MS)
      })
  })
  return {
    take: () => {
      const taken = tally
      tally = emptyTally()
      return taken
    },
    stop: async () => {
      isStopping = true
      await Promise.allSettled(work)
    },
  }
}
