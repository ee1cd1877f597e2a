import {
  actOnSession,
  type DepositAuthorization,
  getProvider,
  getSession,
  LIMITS,
  OrienError,
  openNonce,
  openSession,
  type SessionView,
  type UsdcMicros,
  ZERO,
} from '@orien/protocol'
import { assertEscrow } from '../channel/assertEscrow.ts'
import { readChainTime } from '../channel/readChannelState.ts'
import { deriveIdempotencyKey } from '../idempotency.ts'
import { signDeposit } from './deposit.ts'
import { buildState, type SessionContext, type SessionState } from './state.ts'

/** What a session is opened with. Amounts in micro-USDC. */
export type OpenSessionRequest = {
  providerId: SessionView['providerId']
  /** Deposited in full, spent only on runs; the rest comes back at the end. */
  budgetMicros: UsdcMicros
  /** Runs that may take longer than half a minute are paid in steps of this: less is at stake at any time. */
  stepMicros?: UsdcMicros | undefined
  maxRateMicros?: UsdcMicros | undefined
  mission?: string | undefined
  /** Names the caller's turn: the same turn opens the same session, however often it is repeated. */
  turnId?: string | undefined
  signal?: AbortSignal | undefined
}

/** The time that a deposit's life is counted from: the chain's where it is known and ahead, else the coordinator's. */
async function depositTimeMs(context: SessionContext): Promise<number> {
  const serverMs = context.http.serverNowMs()
  if (context.rpcUrl === undefined) return serverMs
  return Math.max(serverMs, (await readChainTime(context.rpcUrl)) * 1_000)
}

/**
 * What has to be so before a deposit is signed, as far as the agent can ask the chain itself: that it goes into the
 * escrow of this version. A coordinator with a provider of its own could name a contract that keeps it.
 *
 * @returns the time that the deposit's life is counted from, in Unix milliseconds
 * @throws OrienError `signature_invalid`, `chain_unavailable`
 */
export async function prepareDeposit(context: SessionContext, { payment }: SessionView): Promise<number> {
  if (context.rpcUrl !== undefined) await assertEscrow(context.rpcUrl, payment)
  return depositTimeMs(context)
}

/** A deposit that lives for less than this is not sent again. */
const MINIMUM_LIFE_MS = 60_000

async function depositFor(state: SessionState, budgetMicros: UsdcMicros): Promise<DepositAuthorization> {
  const { context, channel, view } = state
  const nowMs = await prepareDeposit(context, view)
  const signed = context.deposits.get(state.id)
  if (signed && signed.validBefore * 1_000 > nowMs + MINIMUM_LIFE_MS) return signed
  await context.guard.countDeposit(state.id, budgetMicros, nowMs)
  state.counted.push({ amountMicros: budgetMicros, atMs: nowMs })
  const request = { valueMicros: budgetMicros, nonce: openNonce(channel), nowMs }
  const deposit = await signDeposit(context.account(), view.payment, request)
  context.deposits.set(state.id, deposit)
  return deposit
}

async function start(state: SessionState, budgetMicros: UsdcMicros, signal?: AbortSignal): Promise<void> {
  const { context, channel, key } = state
  const deposit = await depositFor(state, budgetMicros)
  // The zero voucher proves a plain key, and lets the provider close the channel at any time.
  const voucher = key.signVoucher(channel, ZERO)
  // Follows from the deposit: the same authorisation again makes the same request.
  const exitSeconds = deposit.validBefore + LIMITS.exitValidityMs / 1_000
  const exit = key.signExit(channel, deposit.nonce, exitSeconds)
  const { payer, authorizedSigner } = channel
  state.view = await context.http.call(
    actOnSession,
    { params: { id: state.id }, body: { action: 'start', payer, authorizedSigner, deposit, voucher, exit } },
    // One key and one body for this deposit: every repetition within the call re-sends the same authorisation.
    { idempotencyKey: deriveIdempotencyKey(state.id, { start: deposit.signature }), signal },
  )
  state.deposit = deposit
  context.deposits.delete(state.id)
}

/**
 * Opens a session and starts it. Before anything is signed, the coordinator's answer is checked against what the
 * provider's owner signed. A turn that is repeated finds its session as it is now, and pays no second deposit.
 *
 * @throws OrienError `signature_invalid`, `rate_too_high`, `spend_cap_exceeded`, or the coordinator's
 */
export async function open(context: SessionContext, request: OpenSessionRequest): Promise<SessionState> {
  const { providerId, budgetMicros, turnId, signal } = request
  context.guard.assertSession(budgetMicros)
  const optional = {
    ...(request.stepMicros === undefined ? {} : { stepMicros: request.stepMicros }),
    ...(request.mission === undefined ? {} : { mission: request.mission }),
    ...(request.maxRateMicros === undefined ? {} : { maxRateMicros: request.maxRateMicros }),
  }
  const idempotencyKey =
    turnId === undefined
      ? undefined
      : deriveIdempotencyKey(turnId, { open: providerId, budgetMicros: budgetMicros.toString() })
  const { http } = context
  const opened = await http.call(
    openSession,
    { body: { providerId, budgetMicros, rail: 'escrow', ...optional } },
    { idempotencyKey, signal },
  )
  const provider = await http.call(getProvider, { params: { id: providerId } }, { signal })
  // A repeated key answers with the session as it was then.
  const view =
    turnId === undefined ? opened : await http.call(getSession, { params: { id: opened.id } }, { signal })
  assertAsked(view, request)
  const state = await buildState(context, view, provider)
  if (view.status === 'pending') await start(state, budgetMicros, signal)
  return state
}

/** The session that was opened has to be the one that was asked for. */
function assertAsked(view: SessionView, request: OpenSessionRequest): void {
  const { providerId, budgetMicros, stepMicros } = request
  if (view.providerId !== providerId || view.budgetMicros < budgetMicros || view.stepMicros !== stepMicros) {
    throw new OrienError('unreadable', 'the coordinator opened another session than was asked for')
  }
  if (request.maxRateMicros !== undefined && view.rateMicrosPerMinute > request.maxRateMicros) {
    throw new OrienError('rate_too_high', 'the session’s rate is above the maximum')
  }
}
