import {
  actOnSession,
  add,
  LIMITS,
  least,
  listExecutions,
  OrienError,
  type UsdcMicros,
  usdcMicros,
  type VoucherRequest,
  voucherRequest,
} from '@orien/protocol'
import { deriveIdempotencyKey } from '../idempotency.ts'
import { assertExplained, type Reservation } from '../session/spending.ts'
import { refresh, type SessionState } from '../session/state.ts'
import { endsRun } from '../sse/events.ts'

/** Answers again for the runs of a session that were under way when an earlier process of this agent ended. */
export async function resumeRuns(state: SessionState): Promise<void> {
  if (state.view.stepMicros === undefined) return
  let cursor: string | undefined
  do {
    const query = { limit: LIMITS.pageItems, ...(cursor === undefined ? {} : { cursor }) }
    const page = await state.context.http.call(listExecutions, { params: { id: state.id }, query })
    for (const { id, status, holdMicros, mostMicros } of page.items) {
      if (mostMicros === undefined || (status !== 'pending' && status !== 'running')) continue
      // What the caller of then allowed is not known any more: what the coordinator says of it, and the policy, are.
      const capMicros = state.context.guard.callCap(undefined) ?? mostMicros
      const reservation = state.spending.reserve(holdMicros, least(mostMicros, capMicros))
      reservation.executionId = id
      authoriseSteps(state, reservation)
    }
    cursor = page.nextCursor
  } while (cursor !== undefined)
}

/**
 * Answers, as long as a run goes on, every request for a voucher over its next step: signed when the run may cost as
 * much by what its caller and the policy allow, and when receipts and holds explain the sum. Otherwise nothing is sent:
 * the run then ends at the grant that it has, and the reason stands in the session's `refusals`.
 *
 * @param reservation of the run, its execution known
 */
export function authoriseSteps(state: SessionState, reservation: Reservation): void {
  const { executionId } = reservation
  if (executionId === undefined) return
  const refuse = (error: unknown) => {
    const reason =
      error instanceof OrienError
        ? error
        : new OrienError('internal_error', 'a step could not be authorised', {}, { cause: error })
    state.refusals.set(executionId, reason)
  }
  // One after the other: what the next one is judged by includes what the one before has signed.
  let turn = Promise.resolve()
  const stop = state.feed.listen({
    message: (message) => {
      if (message.kind !== 'event') return
      if (endsRun(message.event, executionId)) return stop()
      const { type, data } = message.event
      if (data.executionId !== executionId) return
      // An earlier voucher may have covered a step that nobody had to be asked for.
      if (type === 'execution.extended') turn = turn.then(() => noteStep(reservation, data.holdMicros))
      if (type !== 'voucher.requested') return
      const asked = voucherRequest.safeDecode(data as never)
      if (asked.success) turn = turn.then(() => authorise(state, reservation, asked.data)).catch(refuse)
    },
    failed: (error) => error !== undefined && refuse(error),
  })
}

function noteStep(reservation: Reservation, holdMicros: unknown): void {
  const held = usdcMicros.safeDecode(String(holdMicros))
  if (held.success && held.data > reservation.holdMicros)
    reservation.holdMicros = least(held.data, reservation.mostMicros)
}

/**
 * @throws OrienError `spend_cap_exceeded` above what the run may cost, `budget_exhausted` or `voucher_invalid` when the
 * sum is not explained, or the coordinator's
 */
async function authorise(
  state: SessionState,
  reservation: Reservation,
  asked: VoucherRequest,
): Promise<void> {
  const { context, spending, channel, key } = state
  const { holdMicros, requiredCumulativeMicros: requiredMicros } = asked
  assertWithin(state, reservation, asked)
  // An old request, read again: its run has had that step.
  if (holdMicros < reservation.holdMicros) return
  await assertSum(state, requiredMicros, (holdMicros - reservation.holdMicros) as UsdcMicros)
  reservation.holdMicros = holdMicros
  spending.signed(requiredMicros, state.view.budgetMicros)
  const voucher = key.signVoucher(channel, requiredMicros)
  await context.http.call(
    actOnSession,
    { params: { id: state.id }, body: { action: 'voucher', voucher } },
    { idempotencyKey: deriveIdempotencyKey(state.id, { voucher: requiredMicros.toString() }) },
  )
}

/** What the caller of the run and the policy allow: one step more, up to what the run may cost, within the session's cap. */
function assertWithin(
  { context, view }: SessionState,
  reservation: Reservation,
  asked: VoucherRequest,
): void {
  const { holdMicros, requiredCumulativeMicros } = asked
  const { stepMicros } = view
  const isOneStep = stepMicros !== undefined && holdMicros <= add(reservation.holdMicros, stepMicros)
  if (!isOneStep || holdMicros > reservation.mostMicros) {
    throw new OrienError('spend_cap_exceeded', 'the step is more than the run may cost', {
      capMicros: reservation.mostMicros.toString(),
    })
  }
  context.guard.assertSession(requiredCumulativeMicros)
}

/** The sum has to follow from receipts and holds; what other processes of this agent hold only the coordinator tells. */
async function assertSum(
  state: SessionState,
  requiredMicros: UsdcMicros,
  stepMicros: UsdcMicros,
): Promise<void> {
  state.chain.assertSound()
  const ours = add(state.chain.consumedMicros, state.spending.heldMicros, stepMicros)
  if (requiredMicros <= ours && requiredMicros <= state.view.budgetMicros) return
  const { heldMicros, budgetMicros } = await refresh(state)
  const { consumedMicros } = state.chain
  assertExplained({ requiredMicros, consumedMicros, heldMicros: add(heldMicros, stepMicros), budgetMicros })
}
