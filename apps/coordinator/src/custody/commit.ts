import {
  type ChannelTerms,
  depositDigest,
  micros,
  OrienError,
  openNonce,
  type SessionAction,
  ZERO,
} from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { lockAgent, moveBalance, selectBalance } from './store.ts'

type Start = Extract<SessionAction, { action: 'start' }>
type Committed = { id: string; agentId: string; budgetMicros: bigint }

/**
 * Sets a session's budget aside in its agent's balance.
 *
 * @throws OrienError `insufficient_funds`
 */
export async function commitBudget(unit: Unit, { id, agentId, budgetMicros }: Committed): Promise<void> {
  await lockAgent(unit.tx, agentId)
  const { availableMicros } = await selectBalance(unit.tx, agentId)
  if (availableMicros < budgetMicros) {
    const facts = { availableMicros: availableMicros.toString(), requiredMicros: budgetMicros.toString() }
    throw new OrienError('insufficient_funds', 'The custodial balance does not hold the budget', facts)
  }
  const of = { agentId, amountMicros: budgetMicros, reference: id, sessionId: id }
  await moveBalance(unit.tx, { move: 'custody_commit', ...of })
}

/** Gives back what was set aside for a session whose channel was never opened. */
export async function releaseBudget(unit: Unit, { id, agentId, budgetMicros }: Committed): Promise<void> {
  const of = { agentId, amountMicros: budgetMicros, reference: id, sessionId: id }
  await moveBalance(unit.tx, { move: 'custody_release', ...of })
}

/** A deposit is relayed at the first run, which may be days after the session was opened. */
const DEPOSIT_LIFE_SECONDS = 30 * 86_400

/** What an agent would sign to start its session, signed with the keys of the custody. */
export function signStart(
  ctx: Pick<Context, 'chain' | 'custody' | 'clock'>,
  terms: ChannelTerms,
  { id, budgetMicros }: Pick<Committed, 'id' | 'budgetMicros'>,
): Start {
  const { tokenName, tokenVersion } = ctx.chain
  const { chainId, token, escrow, payer, authorizedSigner } = terms
  const validBefore = Math.floor(ctx.clock.now().getTime() / 1_000) + DEPOSIT_LIFE_SECONDS
  const deposit = { valueMicros: micros(budgetMicros), validAfter: 0, validBefore, nonce: openNonce(terms) }
  const digest = depositDigest({ chainId, token, tokenName, tokenVersion, escrow, from: payer, ...deposit })
  return {
    action: 'start',
    payer,
    authorizedSigner,
    deposit: { ...deposit, signature: ctx.custody.sign(digest) },
    voucher: ctx.custody.signVoucher(id, terms, ZERO),
  }
}
