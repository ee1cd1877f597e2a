import {
  add,
  costMicros,
  deadlineMs,
  durationMs,
  type ExecutionView,
  execute,
  type Json,
  LIMITS,
  least,
  OrienError,
  subtract,
  type UsdcMicros,
  usdcMicros,
  type Voucher,
  ZERO,
} from '@orien/protocol'
import { sendDeposit } from '../channel/sendDeposit.ts'
import type { CallOptions } from '../http/client.ts'
import { deriveIdempotencyKey } from '../idempotency.ts'
import { randomKey } from '../random.ts'
import { assertExplained, type Reservation } from '../session/spending.ts'
import { isFinished, refresh, type SessionState } from '../session/state.ts'
import { authoriseSteps } from './authoriseSteps.ts'
import { Execution } from './execution.ts'

/** A run that is wanted. */
export type ExecuteRequest = {
  tool: string
  args?: Record<string, unknown> | undefined
  /** The run stops when it has cost this much; else at the tool's time limit or the end of the budget. */
  maxCostMicros?: UsdcMicros | undefined
  /** Wait this long, at most four minutes, for the result before returning a handle to a run that goes on. */
  waitMs?: number | undefined
  idempotencyKey?: string | undefined
  /** Instead of a key: names the caller's turn, so that the same call in the same turn runs and costs once. */
  turnId?: string | undefined
  signal?: AbortSignal | undefined
}

/** Vouchers that one call may be asked for; parallel runs move the target. */
const MAX_VOUCHERS = 8
/** Node's fetch gives up on an answer that has not begun after five minutes. */
const MAX_WAIT_MS = 240_000

function keyOf(state: SessionState, request: ExecuteRequest): string {
  if (request.idempotencyKey !== undefined) return request.idempotencyKey
  if (request.turnId === undefined) return randomKey()
  const { tool, args = {}, maxCostMicros } = request
  const call = {
    tool,
    args,
    ...(maxCostMicros === undefined ? {} : { maxCostMicros: maxCostMicros.toString() }),
  }
  return deriveIdempotencyKey(request.turnId, { session: state.id, ...call } as Json)
}

/** What a run of a tool can cost at most: its limit at the rate, the cap of caller or policy, the budget. */
function mostOf(state: SessionState, tool: string, capMicros: UsdcMicros | undefined): UsdcMicros {
  const { offer } = state.terms
  const offered = offer.tools.find((candidate) => candidate.id === tool)
  if (!offered) throw new OrienError('tool_not_offered', `the offer of this session has no tool "${tool}"`)
  const atLimit = costMicros(offer.rateMicrosPerMinute, durationMs(offered.timeMs))
  return least(atLimit, capMicros ?? atLimit, state.view.budgetMicros)
}

/** The first grant of a run that may cost so much: one step of it when it may take long. */
function firstGrant(
  { terms: { offer }, view: { stepMicros } }: SessionState,
  fullMicros: UsdcMicros,
): UsdcMicros {
  if (stepMicros === undefined || stepMicros >= fullMicros) return fullMicros
  return deadlineMs(fullMicros, offer.rateMicrosPerMinute) > LIMITS.oneGrantMs ? stepMicros : fullMicros
}

/** What is left of the budget after all that was consumed and is held. */
function leftOf({ view, chain, spending }: SessionState): UsdcMicros {
  const spokenFor = add(chain.consumedMicros, spending.heldMicros)
  return spokenFor < view.budgetMicros ? subtract(view.budgetMicros, spokenFor) : ZERO
}

function signVoucher(state: SessionState): Voucher {
  state.chain.assertSound()
  const { budgetMicros } = state.view
  const cumulativeMicros = state.spending.nextVoucher(state.chain.consumedMicros, budgetMicros)
  state.spending.signed(cumulativeMicros, budgetMicros)
  return state.key.signVoucher(state.channel, cumulativeMicros)
}

/** Signs for what the coordinator asks, when receipts and open holds explain it. */
async function signRequired(
  state: SessionState,
  error: OrienError,
  holdMicros: UsdcMicros,
): Promise<Voucher> {
  const required = usdcMicros.safeDecode(error.facts.requiredCumulativeMicros as string)
  if (!required.success) throw error
  const { heldMicros, budgetMicros } = await refresh(state)
  const ours = state.spending.heldMicros
  // Runs of other processes of this agent are only known from the coordinator; ours include the new one.
  const others = heldMicros + holdMicros
  assertExplained({
    requiredMicros: required.data,
    consumedMicros: state.chain.consumedMicros,
    heldMicros: ours > others ? ours : (others as UsdcMicros),
    budgetMicros,
  })
  state.spending.signed(required.data, budgetMicros)
  return state.key.signVoucher(state.channel, required.data)
}

/**
 * A coordinator relays what an agent's sessions have paid for; before that, the wallet sends its signed deposit itself.
 *
 * @throws OrienError the coordinator's where this wallet cannot, or those of {@link sendDeposit}
 */
async function sendOwnDeposit(
  { context, channel, deposit }: SessionState,
  refusal: OrienError,
): Promise<void> {
  const { rpcUrl } = context
  const account = context.account()
  if (rpcUrl === undefined || deposit === null || !account.signTransaction) throw refusal
  await sendDeposit(rpcUrl, account, channel, deposit)
}

async function submit(
  state: SessionState,
  request: { tool: string; args: Record<string, unknown>; maxCostMicros?: UsdcMicros },
  options: CallOptions,
  holdMicros: UsdcMicros,
): Promise<ExecutionView> {
  let voucher = signVoucher(state)
  let hasSent = false
  for (let signed = 1; ; signed += 1) {
    try {
      const body = { ...request, voucher }
      return await state.context.http.call(execute, { params: { id: state.id }, body }, options)
    } catch (error) {
      if (!(error instanceof OrienError)) throw error
      if (error.code === 'relay_limit_reached' && !hasSent) {
        await sendOwnDeposit(state, error)
        hasSent = true
        continue
      }
      if (error.code !== 'voucher_required' || signed >= MAX_VOUCHERS) throw error
      voucher = await signRequired(state, error, holdMicros)
    }
  }
}

/** Holds for the run as the coordinator accepted it; the same call, made before, holds for it already. */
function keep(state: SessionState, reservation: Reservation, view: ExecutionView): void {
  if (state.spending.reservationOf(view.id)) {
    state.spending.release(reservation)
    return
  }
  reservation.executionId = view.id
  reservation.holdMicros = view.holdMicros
  if (view.mostMicros === undefined || isFinished(view)) return
  reservation.mostMicros = least(view.mostMicros, reservation.mostMicros)
  authoriseSteps(state, reservation)
}

/**
 * Starts a run: signs a voucher that covers what was consumed, what is held and what this run may cost, never above
 * the budget. A voucher that the coordinator finds too low is raised and sent under the same key, so nothing runs twice.
 *
 * @throws OrienError `tool_not_offered`, `spend_cap_exceeded`, `budget_exhausted`, `receipt_disputed`, or the
 * coordinator's; a stored refusal comes again under the same key
 */
export async function executeTool(state: SessionState, request: ExecuteRequest): Promise<Execution> {
  state.chain.assertSound()
  const { tool, args = {}, signal } = request
  const capMicros = state.context.guard.callCap(request.maxCostMicros)
  const mostMicros = mostOf(state, tool, capMicros)
  const fullMicros = least(mostMicros, leftOf(state))
  const holdMicros = firstGrant(state, fullMicros)
  const reservation = state.spending.reserve(holdMicros, mostMicros)
  // A run that goes in steps is answered for while it goes on, so its first answer has to come at once.
  const waitMs = holdMicros < fullMicros ? 0 : Math.min(request.waitMs ?? 0, MAX_WAIT_MS)
  const options: CallOptions = {
    idempotencyKey: keyOf(state, request),
    signal,
    ...(waitMs > 0 ? { prefer: { waitMs } } : {}),
  }
  try {
    const body = { tool, args, ...(capMicros === undefined ? {} : { maxCostMicros: capMicros }) }
    const view = await submit(state, body, options, holdMicros)
    // Reservations of other calls may have been refused meanwhile: only the limit, the cap and the budget bound this one.
    if (view.tool !== tool || view.holdMicros > mostMicros) {
      throw new OrienError('receipt_mismatch', 'the coordinator started another run than was asked for')
    }
    keep(state, reservation, view)
    return new Execution(state, view)
  } catch (error) {
    state.spending.release(reservation)
    throw error
  }
}
