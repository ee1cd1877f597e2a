import { type ExecutionView, micros, OrienError, type SessionView } from '@orien/protocol'
import { Orien, type Session } from '@orien/sdk'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import type { World } from './world.ts'

/** What the agent was told and may rely on. Kept here, outside the system. */
type Acknowledged = {
  sessionId: SessionView['id'] | null
  runs: { key: string; text: string; view: ExecutionView }[]
  /** Requests that were answered with an error, for people who look into a failure. */
  errors: string[]
  isEnded: boolean
  settled: SessionView | null
}

export type Agent = { orien: Orien; acknowledged: Acknowledged; work: (name: string) => Promise<void> }

const BUDGET_MICROS = 5_000_000n
const TOP_UP_MICROS = 500_000n
const CAP_MICROS = micros(1_500_000n)
const RUNS = 3
/** One request is repeated this often at most, with its key; pauses are those that the SDK makes. */
const ATTEMPTS = 400
const BETWEEN_MS = 150

/** An agent that repeats whatever was not answered, with the same key, and writes down every answer. */
export async function createAgent(world: World): Promise<Agent> {
  const account = privateKeyToAccount(generatePrivateKey())
  await world.chain.mint(account.address, BUDGET_MICROS + TOP_UP_MICROS)
  const timeouts = { connectMs: 3_000, idleMs: 8_000, totalMs: 20_000 }
  const orien = new Orien({ baseUrl: world.url, account, timeouts })
  const acknowledged: Acknowledged = { sessionId: null, runs: [], errors: [], isEnded: false, settled: null }
  const insist = <T>(what: string, call: () => Promise<T>) => repeat(acknowledged, what, call)
  const work = async (name: string) => {
    const open = () =>
      orien.openSession({ providerId: world.providerId, budgetMicros: micros(BUDGET_MICROS), turnId: name })
    let session = await insist('open', open)
    acknowledged.sessionId = session.id
    for (let run = 1; run <= RUNS; run += 1) {
      const [key, text] = [`${name}-${run}`, `${name} run ${run}`]
      const view = await insist(`run ${run}`, () => runOnce(session, key, text))
      acknowledged.runs.push({ key, text, view })
      // A session that is attached again reads and checks all that it was told before.
      if (run === 2) session = await insist('attach', () => orien.session(session.id))
      if (run === 1) await insist('top up', () => session.topUp(micros(TOP_UP_MICROS))).catch(() => undefined)
    }
    await insist('end', () => session.end())
    acknowledged.isEnded = true
  }
  return { orien, acknowledged, work }
}

function runOnce(session: Session, key: string, text: string): Promise<ExecutionView> {
  return session.run({ tool: 'say', args: { text }, idempotencyKey: key, maxCostMicros: CAP_MICROS })
}

/** Whether the agent's own state is what is wrong, so that asking again cannot help. */
const FINAL = new Set(['receipt_disputed', 'receipt_mismatch', 'receipt_out_of_order', 'signature_invalid'])

async function repeat<T>(acknowledged: Acknowledged, what: string, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call()
    } catch (error) {
      const code = error instanceof OrienError ? error.code : `${error}`
      acknowledged.errors.push(`${what}: ${code} ${error instanceof Error ? error.message : ''}`)
      const isOver = ['session_not_active', 'illegal_transition', 'budget_exhausted'].includes(code)
      if (FINAL.has(code) || isOver || attempt === ATTEMPTS) throw error
      await new Promise<void>((resolve) => void setTimeout(resolve, BETWEEN_MS))
    }
  }
}
