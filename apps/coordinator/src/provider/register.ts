import {
  deriveProviderId,
  type Hex,
  type OperationInput,
  OrienError,
  type registerProvider as operation,
  type ProviderView,
  type Registration,
  registrationDigest,
} from '@orien/protocol'
import { encodeSetOperatorWithAuthorization } from '@orien/rails'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { requireAllowance } from '../relayer/allowance.ts'
import { recoverSigner } from '../signatures.ts'
import { lockProvider, type ProviderRow, upsertProvider } from './store.ts'
import { viewProvider } from './view.ts'

type Body = OperationInput<typeof operation>['body']

/**
 * Registers a provider by its owner's signature, and plans the relayed permission for its operator key. A repeated
 * registration renews; an older one, or one by another wallet, changes nothing.
 *
 * @throws OrienError `signature_invalid`, `registration_conflict`, `relay_limit_reached`, `chain_unavailable`
 */
export async function registerProvider(ctx: Context, body: Body): Promise<ProviderView> {
  const { registration, signature } = body
  checkOwner(registration, signature)
  const isAuthorised = await ctx.rail.isOperator(registration.payout, registration.operator)
  return ctx.db.write(async (unit) => {
    const current = await lockProvider(unit.tx, registration.providerId)
    checkNotOlder(current, registration)
    const row = await upsertProvider(unit.tx, {
      registration,
      signed: { registration, signature },
      rateMicrosPerMinute: body.rateMicrosPerMinute,
      tools: body.tools,
      isOperatorAuthorised: isAuthorised,
    })
    if (!isAuthorised && body.operatorAuthorization) await planOperator(ctx, unit, body)
    return viewProvider(row, ctx.nodes)
  })
}

function checkOwner(registration: Registration, signature: Hex): void {
  if (deriveProviderId(registration.payout, registration.salt) !== registration.providerId) {
    throw new OrienError(
      'registration_conflict',
      'The provider id does not follow from payout address and salt',
    )
  }
  const signer = recoverSigner(registrationDigest(registration), signature)
  if (signer !== registration.payout)
    throw new OrienError('signature_invalid', 'The registration is not signed by its payout address')
}

function checkNotOlder(current: ProviderRow | undefined, registration: Registration): void {
  if (current && current.registrationIssuedAt > BigInt(registration.issuedAt)) {
    throw new OrienError('registration_conflict', 'A later registration of this provider exists')
  }
}

/** The gas of this one is ours: an owner needs no native coin to begin. */
async function planOperator(ctx: Context, unit: Unit, body: Body): Promise<void> {
  const { registration, operatorAuthorization } = body
  if (!operatorAuthorization) return
  const terms = {
    owner: registration.payout,
    operator: registration.operator,
    allowed: true,
    nonce: BigInt(operatorAuthorization.nonce),
    deadline: operatorAuthorization.deadline,
  }
  const reference = `${registration.providerId}:${registration.operator}:${operatorAuthorization.nonce}`
  await requireAllowance(ctx, unit, { what: 'operator', reference, payer: registration.payout })
  await ctx.outbox.plan(unit, {
    kind: 'set_operator',
    reference,
    providerId: registration.providerId,
    amountMicros: 0n,
    ...encodeSetOperatorWithAuthorization(ctx.chain.escrow, terms, operatorAuthorization.signature),
    detail: {},
  })
}
