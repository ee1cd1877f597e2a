import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { auditLedger, createPool } from '@orien/coordinator'
import {
  canonicalJson,
  type ExecutionView,
  getBill,
  getExecution,
  getSession,
  type Hex,
  type Json,
  type SessionView,
} from '@orien/protocol'
import { chains, connectChain, readBalance } from '@orien/rails'
import { verifyBillText } from '@orien/sdk'
import { type Agent, DEPOSITS_MICROS } from './agent.ts'
import type { Story } from './stories.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

const run = promisify(execFile)
const orienMain = fileURLToPath(new URL('../../apps/orien/src/main.ts', import.meta.url))

/** Everything that has to hold once a round has come to rest. @returns what does not */
export async function findFaults(
  world: World,
  agent: Agent,
  story: Story = 'one session',
): Promise<string[]> {
  const view = await settledView(agent, story)
  const found = await Promise.all([
    booksBalance(world),
    answersKept(agent),
    chargedOnce(world, agent, view),
    // A provider that never claimed is not paid: its bill and the chain differ, and the agent has everything back.
    story === 'provider gone' ? wholeRefund(world, agent, view) : billVerified(world, agent, view, story),
    paidOnce(world, agent, view),
    nothingHeld(world),
    nothingLeft(world, view),
  ])
  return found.flat()
}

/** Led there by nothing but the system itself. */
async function settledView({ orien, acknowledged }: Agent, story: Story): Promise<SessionView | null> {
  const { sessionId } = acknowledged
  if (sessionId === null) return null
  const view = await until(`${sessionId} is settled`, 150, async () => {
    // A custodial session's key is the coordinator's: there is nothing of it for the SDK to take up.
    const state =
      story === 'custodial balance'
        ? await orien.call(getSession, { params: { id: sessionId } })
        : await (await orien.session(sessionId)).state()
    return state.status === 'settled' || state.status === 'failed' ? state : null
  })
  acknowledged.settled = view
  return view
}

/** The audit that `orien reconcile` makes, without its start. */
async function booksBalance(world: World): Promise<string[]> {
  const pool = createPool({ url: world.databaseUrl, connections: 1 })
  try {
    const drifts = await auditLedger(pool)
    return drifts
      .filter(({ violations }) => violations > 0)
      .map(({ check, example }) => `${check}: ${example}`)
  } finally {
    await pool.end()
  }
}

/** `orien reconcile` itself, over everything that the world has settled. */
export async function reconcile(world: World): Promise<string[]> {
  const args = [orienMain, 'reconcile', '--json', '--rpc-url', world.chain.rpcUrl]
  const env = { ...process.env, DATABASE_URL: world.databaseUrl }
  try {
    await run(process.execPath, args, { env })
    return []
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string }
    return [`reconcile found a drift: ${stdout}${stderr}`]
  }
}

/** Answers that the agent was given are still the answers. Only `lost` may turn into a receipt that came late. */
async function answersKept({ orien, acknowledged }: Agent): Promise<string[]> {
  const found: string[] = []
  for (const { key, text, view } of acknowledged.runs) {
    const now: ExecutionView = await orien.call(getExecution, { params: { id: view.id } })
    const same = (['status', 'reason', 'costMicros', 'receipt', 'exitCode'] as const).filter(
      (field) => now[field] !== view[field],
    )
    if (same.length > 0 && view.reason !== 'lost')
      found.push(`${key} was acknowledged with another ${same.join(', ')}`)
    if (view.status === 'completed' && view.stdout !== `${text} done`)
      found.push(`${key} answered ${view.stdout}`)
  }
  return found
}

async function chargedOnce(
  world: World,
  { acknowledged }: Agent,
  view: SessionView | null,
): Promise<string[]> {
  const pool = createPool({ url: world.databaseUrl, connections: 1 })
  try {
    const { rows } = await pool.query<{ key: string; runs: bigint; captures: bigint }>(
      `select e.idempotency_key as key, count(distinct e.id) as runs, count(t.id) as captures
        from executions e left join ledger_transfers t on t.kind = 'capture' and t.reference = e.id
        where e.session_id = $1 group by 1`,
      [acknowledged.sessionId],
    )
    const twice = rows.filter(({ runs, captures }) => runs > 1n || captures > 1n)
    const found = twice.map(({ key }) => `${key} ran or was charged more than once`)
    const unasked = rows.filter(({ key }) => !/-[123]$/.test(key))
    if (unasked.length > 0) found.push('a run that nobody asked for')
    if (view && view.consumedMicros > view.budgetMicros) found.push('more was spent than the budget')
    const sum = acknowledged.runs.reduce((total, { view: { costMicros } }) => total + costMicros, 0n)
    const isWhole =
      acknowledged.isEnded && !acknowledged.runs.some(({ view: { reason } }) => reason === 'lost')
    if (view && isWhole && sum !== view.consumedMicros)
      found.push(`the runs cost ${sum}, the session was charged ${view.consumedMicros}`)
    return found
  } finally {
    await pool.end()
  }
}

async function billVerified(
  world: World,
  { orien, acknowledged }: Agent,
  view: SessionView | null,
  story: Story,
): Promise<string[]> {
  if (view?.status !== 'settled' || !view.settlement?.txHash || !acknowledged.sessionId) return []
  const { sessionId: id } = acknowledged
  const text =
    story === 'custodial balance'
      ? `${canonicalJson((await orien.call(getBill, { params: { id } })) as Json)}\n`
      : await (await orien.session(id)).bill()
  const { verdict, failure } = await verifyBillText(text, { rpcUrl: world.chain.rpcUrl })
  return verdict === 'verified' ? [] : [`the bill is ${verdict}: ${JSON.stringify(failure)}`]
}

async function wholeRefund(world: World, { account }: Agent, view: SessionView | null): Promise<string[]> {
  const claimed = view?.settlement?.claimMicros
  const held = await balanceOf(world, account.address)
  return [
    ...(claimed === 0n ? [] : [`a provider that was gone has claimed ${claimed}`]),
    ...(held === DEPOSITS_MICROS ? [] : [`the agent has ${held} of ${DEPOSITS_MICROS}`]),
  ]
}

/** What the wallet has now is what it had, less what its session was settled at: on the chain itself, to the unit. */
async function paidOnce(world: World, { account }: Agent, view: SessionView | null): Promise<string[]> {
  if (view?.status !== 'settled' || !view.settlement) return []
  const expected = DEPOSITS_MICROS - view.settlement.claimMicros
  const held = await balanceOf(world, account.address)
  return held === expected ? [] : [`the wallet holds ${held} and should hold ${expected}`]
}

async function balanceOf({ chain }: World, account: Hex): Promise<bigint | null> {
  const reading = await readBalance(connectChain(chains.local, chain.rpcUrl), chain.usdc, account)
  return reading.status === 'read' ? reading.micros : null
}

async function nothingHeld(world: World): Promise<string[]> {
  const pool = createPool({ url: world.databaseUrl, connections: 1 })
  try {
    const { rows } = await pool.query<{ id: string }>(
      `select id from executions where hold_status = 'open' and lease_until < clock_timestamp() - interval '5 seconds'`,
    )
    return rows.map(({ id }) => `${id} is held past its lease`)
  } finally {
    await pool.end()
  }
}

/** Workspaces, spools, mounts and processes of sessions that are over. */
async function nothingLeft(world: World, view: SessionView | null): Promise<string[]> {
  if (!view) return []
  const left = () => {
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(view.id))
    const dirs = ['workspaces', 'output'].flatMap((name) => entriesOf(`${world.nodeDir}/${name}`))
    return [
      ...mounts,
      ...dirs.filter((name) => name.includes(view.id) || name.startsWith('exe_')),
      ...toolsOf(),
    ]
  }
  try {
    await until('nothing is left', 100, async () => (left().length === 0 ? true : null))
    return []
  } catch {
    return [`left behind: ${left().join(', ')}`]
  }
}

function entriesOf(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}

/** Processes of our tool, wherever they are: the line that they print names this harness. */
function toolsOf(): string[] {
  return entriesOf('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`qq($ARGV[0]); select`)
    } catch {
      return false
    }
  })
}
