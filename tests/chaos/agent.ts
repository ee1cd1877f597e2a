import { type ExecutionView, micros, OrienError, type SessionView } from '@orien/protocol'
import { Orien, type Session } from '@orien/sdk'
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
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

export type Agent = {
  orien: Orien
  account: PrivateKeyAccount
  acknowledged: Acknowledged
  /** Everything from the opening to the end. */
  work: (name: string) => Promise<void>
  /** Opens a session and runs one tool. */
  runOnce: (name: string) => Promise<void>
  end: () => Promise<void>
  /** Repeats a call until it is answered. */
  insist: <T>(what: string, call: () => Promise<T>) => Promise<T>
}

const BUDGET_MICROS = 5_000_000n
const TOP_UP_MICROS = 500_000n
/** What the wallet has at first: the deposit and the top-up. */
export const DEPOSITS_MICROS = BUDGET_MICROS + TOP_UP_MICROS
const CAP_MICROS = micros(1_500_000n)
const RUNS = 3
/** One request is repeated this often at most, with its key; pauses are those that the SDK makes. */
const ATTEMPTS = 400
const BETWEEN_MS = 150

/** An agent that repeats whatever was not answered, with the same key, and writes down every answer. */
export async function createAgent(world: World): Promise<Agent> {
  const account = privateKeyToAccount(generatePrivateKey())
  await world.chain.mint(account.address, DEPOSITS_MICROS)
  const timeouts = { connectMs: 3_000, idleMs: 8_000, totalMs: 20_000 }
  const orien = new Orien({ baseUrl: world.url, account, timeouts })
  const acknowledged: Acknowledged = { sessionId: null, runs: [], errors: [], isEnded: false, settled: null }
  const insist = <T>(what: string, call: () => Promise<T>) => repeat(acknowledged, what, call)
  let session: Session
  const open = async (name: string) => {
    const order = { providerId: world.providerId, budgetMicros: micros(BUDGET_MICROS), turnId: name }
    session = await insist('open', () => orien.openSession(order))
    acknowledged.sessionId = session.id
  }
  const runTool = async (name: string, run: number) => {
    const [key, text] = [`${name}-${run}`, `${name} run ${run}`]
    const view = await insist(`run ${run}`, () => runOnce(session, key, text))
    acknowledged.runs.push({ key, text, view })
  }
  const end = async () => {
    await insist('end', () => session.end())
    acknowledged.isEnded = true
  }
  const work = async (name: string) => {
    await open(name)
    for (let run = 1; run <= RUNS; run += 1) {
      await runTool(name, run)
      // A session that is attached again reads and checks all that it was told before.
      if (run === 2) session = await insist('attach', () => orien.session(session.id))
      if (run === 1) await insist('top up', () => session.topUp(micros(TOP_UP_MICROS))).catch(() => undefined)
    }
    await end()
  }
  const workOnce = async (name: string) => {
    await open(name)
    await runTool(name, 1)
  }
  return { orien, account, acknowledged, work, runOnce: workOnce, end, insist }
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
