import {
  deadlineMs,
  invariant,
  LIMITS,
  micros,
  type OperationInput,
  OrienError,
  type openSession as operation,
  type SessionView,
  sessionSalt,
  type UsdcMicros,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { commitBudget, signStart } from '../custody/commit.ts'
import type { Unit } from '../db/executor.ts'
import { appendEvent } from '../events/append.ts'
import { requireRoom } from '../provider/admission.ts'
import { selectProvider } from '../provider/store.ts'
import { startSession } from './start.ts'
import { insertSession, type SessionRow, spendFromKey } from './store.ts'
import { channelOf, viewSession } from './view.ts'

type Body = OperationInput<typeof operation>['body']

/**
 * Opens a session on a provider's current offer. Nothing is paid yet: the answer says what to sign.
 *
 * @throws OrienError `not_found`, `provider_offline`, `provider_closed`, `provider_full`, `payer_blocked`,
 *   `provider_not_authorised`, `rate_too_high`, `spend_cap_exceeded`
 */
export async function openSession(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  body: Body,
): Promise<SessionView> {
  const provider = await selectProvider(unit.tx, body.providerId)
  if (!provider || provider.deletedAt) throw new OrienError('not_found', 'There is no such provider')
  if (provider.isDisabled || !ctx.nodes.isOnline(provider.id) || !provider.offer || !provider.offerHash) {
    throw new OrienError('provider_offline', 'The provider’s node is not connected')
  }
  await requireRoom(ctx, unit.tx, { providerId: provider.id, payer: caller.wallet })
  if (!provider.isOperatorAuthorised) {
    throw new OrienError(
      'provider_not_authorised',
      'The permission of the operator key is not on the chain yet',
    )
  }
  if (body.maxRateMicros !== undefined && provider.rateMicrosPerMinute > body.maxRateMicros) {
    throw new OrienError('rate_too_high', undefined, {
      rateMicrosPerMinute: provider.rateMicrosPerMinute.toString(),
    })
  }
  if (body.custodial && body.stepMicros !== undefined)
    throw new OrienError('validation_failed', 'Steps are for sessions whose agent signs for them')
  requireLongSteps(body.stepMicros, provider.rateMicrosPerMinute)
  requireWorthwhile(ctx, body.budgetMicros)
  if (caller.kind === 'key' && !(await spendFromKey(unit.tx, caller.credentialId, body.budgetMicros))) {
    throw new OrienError('spend_cap_exceeded', 'The budget would pass the spend cap of this key')
  }
  const id = ctx.random.id('session')
  const row = await insertSession(unit.tx, {
    id,
    agentId: caller.agentId,
    providerId: provider.id,
    credentialId: caller.credentialId,
    status: 'pending',
    rail: body.rail,
    mission: body.mission ?? null,
    rateMicrosPerMinute: provider.rateMicrosPerMinute,
    budgetMicros: body.budgetMicros,
    stepMicros: body.stepMicros ?? null,
    isCustodial: body.custodial ?? false,
    receiptHead: provider.offerHash,
    offer: provider.offer,
    offerHash: provider.offerHash,
    registration: provider.registration,
    payee: provider.payout,
    salt: sessionSalt(id),
  })
  const data = { providerId: provider.id, budgetMicros: body.budgetMicros.toString() }
  await appendEvent(ctx.bus, unit, id, { type: 'session.created', data })
  return row.isCustodial ? startFromBalance(ctx, unit, caller, row) : viewSession(row, ctx.chain)
}

/** The same session as a wallet's, its deposit and its keys by the coordinator. */
async function startFromBalance(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  row: SessionRow,
): Promise<SessionView> {
  await commitBudget(unit, row)
  const payer = ctx.custody.address
  const terms = channelOf({ ...row, payer, authorizedSigner: ctx.custody.sessionAddress(row.id) }, ctx.chain)
  invariant(terms, 'its keys are known')
  return startSession(ctx, unit, caller, row.id, signStart(ctx, terms, row))
}

/** @throws OrienError `validation_failed` for a step that is over before its agent could have paid for the next one */
function requireLongSteps(stepMicros: UsdcMicros | undefined, rate: bigint): void {
  if (stepMicros === undefined || deadlineMs(stepMicros, micros(rate)) >= LIMITS.minimumStepMs) return
  const issues = [{ path: 'stepMicros', message: `must buy at least ${LIMITS.minimumStepMs} ms` }]
  throw new OrienError('validation_failed', 'The step is too small for the rate', { issues })
}

/** @throws OrienError `validation_failed` for a deposit whose relaying would cost more than it buys */
function requireWorthwhile(ctx: Context, budgetMicros: UsdcMicros): void {
  const minimum = ctx.chain.minimumDepositMicros ?? 0n
  if (budgetMicros >= minimum) return
  const issues = [{ path: 'budgetMicros', message: `must be at least ${minimum}` }]
  throw new OrienError('validation_failed', 'The budget is too small to be deposited here', { issues })
}
