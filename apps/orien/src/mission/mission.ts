import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type BillVerdict,
  type ExecutionView,
  type Hex,
  initialise,
  OrienError,
  type ProviderView,
  type SessionView,
  type SettlementView,
} from '@orien/protocol'
import { type LogPiece, Orien, type Session, verifyBillText } from '@orien/sdk'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { saveBill } from '../agent/bill.ts'
import { saveFile } from '../agent/localFiles.ts'
import { streamRun } from '../agent/streamRun.ts'
import { outcomeOf } from '../terminal/outcome.ts'
import { MISSION_BUDGET, MISSION_GIFT, MISSION_STEPS, missionFiles, type Step } from './task.ts'

/** Where a mission takes place. */
export type MissionPlace = {
  url: string
  /** The only provider to use; else the cheapest that offers all tools. */
  providerId?: ProviderView['id'] | undefined
  /** What the agent knows by itself of who countersigns; checked in the bill. */
  coordinatorKey?: string | undefined
  /** A directory for each mission is made in it. */
  saveDir: string
}

/** What is told while a mission goes on. */
export type MissionWatcher = {
  wallet: (address: Hex) => void
  opened: (provider: ProviderView, session: SessionView) => void
  uploaded: (name: string, bytes: number) => void
  step: (step: Step) => void
  started: (view: ExecutionView) => void
  output: (piece: LogPiece) => void
  meter: (executionId: string, effectiveMs: number) => void
  finished: (step: Step, view: ExecutionView) => void
  saved: (path: string) => void
  ending: () => void
}

/** Everything that came of it. */
export type Mission = {
  session: SessionView
  executions: readonly ExecutionView[]
  settlement: SettlementView & { txHash: Hex }
  billText: string
  billPath: string
  verdict: BillVerdict
}

/** The permission of a new node's operator key is final on the chain a moment before the coordinator says so. */
const AUTHORISATION_WAIT_MS = 10_000
const AUTHORISATION_PAUSE_MS = 100

/**
 * Runs the demo mission as an agent would, from a fresh wallet to a verified bill.
 *
 * @throws OrienError `tool_failed` when a run ends otherwise than it has to, or whatever went wrong; the session is
 * ended in any case
 */
export async function runMission(
  place: MissionPlace,
  watch: MissionWatcher,
  signal: AbortSignal,
): Promise<Mission> {
  const account = privateKeyToAccount(generatePrivateKey())
  const wallet = account.address.toLowerCase() as Hex
  const open = new Orien({ baseUrl: place.url })
  const { rpcUrl, escrow, token, chainId } = await open.call(initialise, {
    body: { wallet, amountMicros: MISSION_GIFT },
  })
  watch.wallet(wallet)
  const orien = new Orien({ baseUrl: place.url, account, rpcUrl, pinned: { chainId, escrow, token } })
  const provider = await chooseProvider(orien, place)
  const session = await openSession(orien, provider, signal)
  watch.opened(provider, await session.state())
  const saveDir = join(place.saveDir, session.id)
  const executions = await workIn(session, { saveDir, watch, signal })
  watch.ending()
  await session.end()
  const final = await session.settled({ signal })
  const settlement = requireSettled(final)
  const billText = await session.bill()
  const billPath = join(saveDir, 'bill.json')
  await saveBill(billPath, billText)
  const pins = { pinnedEscrow: escrow, pinnedCoordinatorKey: place.coordinatorKey }
  const verdict = await verifyBillText(billText, { rpcUrl, ...pins })
  return { session: final, executions, settlement, billText, billPath, verdict }
}

async function chooseProvider(orien: Orien, { providerId }: MissionPlace): Promise<ProviderView> {
  if (providerId !== undefined) return orien.provider(providerId)
  const wanted = new Set(MISSION_STEPS.map(({ tool }) => tool))
  const fit = (await orien.providers({ online: true })).filter(({ tools }) =>
    [...wanted].every((tool) => tools.some(({ id }) => id === tool)),
  )
  const [cheapest] = fit.sort((a, b) => (a.rateMicrosPerMinute < b.rateMicrosPerMinute ? -1 : 1))
  if (cheapest) return cheapest
  throw new OrienError('provider_offline', `No provider that is online offers ${[...wanted].join(', ')}`)
}

async function openSession(orien: Orien, provider: ProviderView, signal: AbortSignal): Promise<Session> {
  const mission = 'Summarise measurements, bundle a report and render its cover'
  const request = { providerId: provider.id, budgetMicros: MISSION_BUDGET, mission, signal }
  const patience = AbortSignal.any([signal, AbortSignal.timeout(AUTHORISATION_WAIT_MS)])
  for (;;) {
    try {
      return await orien.openSession(request)
    } catch (error) {
      const isEarly = error instanceof OrienError && error.code === 'provider_not_authorised'
      if (!isEarly || patience.aborted) throw error
      await pause(AUTHORISATION_PAUSE_MS)
    }
  }
}

type Work = { saveDir: string; watch: MissionWatcher; signal: AbortSignal }

async function workIn(session: Session, work: Work): Promise<ExecutionView[]> {
  const over = new AbortController()
  const metering = followMeter(session, work.watch, over.signal)
  try {
    for (const [name, content] of Object.entries(missionFiles())) {
      const { bytes } = await session.upload(name, content, { signal: work.signal })
      work.watch.uploaded(name, bytes)
    }
    const executions: ExecutionView[] = []
    for (const step of MISSION_STEPS) executions.push(await runStep(session, step, work))
    return executions
  } catch (error) {
    // What was spent is paid and the rest comes back, whatever went wrong.
    await session.end().catch(() => undefined)
    throw error
  } finally {
    over.abort()
    await metering
  }
}

async function runStep(
  session: Session,
  step: Step,
  { saveDir, watch, signal }: Work,
): Promise<ExecutionView> {
  const { tool, args, maxCostMicros, expected, bringsHome } = step
  watch.step(step)
  const request = { tool, args, maxCostMicros }
  const view = await streamRun(session, request, { started: watch.started, output: watch.output }, signal)
  signal.throwIfAborted()
  watch.finished(step, view)
  if (outcomeOf(view) !== expected) {
    throw new OrienError('tool_failed', `${tool} had to end as ${expected} and ended as ${outcomeOf(view)}`, {
      hint: `See its output: /api/executions/${view.id}/logs`,
    })
  }
  if (bringsHome !== undefined) {
    watch.saved(await saveFile(saveDir, bringsHome, session.downloadPieces(bringsHome, { signal })))
  }
  return view
}

/** Ticks of the meter are for the eye: missing some, or all, changes nothing. */
async function followMeter(session: Session, watch: MissionWatcher, signal: AbortSignal): Promise<void> {
  try {
    for await (const message of session.events({ signal })) {
      if (message.kind === 'meter') watch.meter(message.meter.executionId, message.meter.effectiveMs)
    }
  } catch {
    // Aborted at the end of the work, or a connection that is not worth a mission.
  }
}

function requireSettled({ status, settlement }: SessionView): SettlementView & { txHash: Hex } {
  if (status === 'settled' && settlement?.txHash !== undefined) {
    return { ...settlement, txHash: settlement.txHash }
  }
  throw new OrienError('chain_unavailable', `The session ended as ${status}, without a settlement`)
}
