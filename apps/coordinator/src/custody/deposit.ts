import { type DepositAuthorization, type Hex, LIMITS, OrienError, transferDigest } from '@orien/protocol'
import { encodeTransferWithAuthorization } from '@orien/rails'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { requireAllowance } from '../relayer/allowance.ts'
import { recoverSigner } from '../signatures.ts'
import { lockAgent, selectBalance } from './store.ts'

type Asked = { additionalMicros: bigint; topUpSalt: Hex; deposit: DepositAuthorization }

/**
 * Takes a signed transfer from the agent's wallet into its custodial balance: relayed at once, credited when it is final
 * on the chain and not before.
 *
 * @throws OrienError `deposit_refused`, `signature_invalid`, `custodial_cap_exceeded`, `insufficient_funds`,
 *   `relay_limit_reached`, `chain_unavailable`
 */
export async function depositToBalance(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  { additionalMicros, topUpSalt, deposit }: Asked,
): Promise<void> {
  if (deposit.valueMicros !== additionalMicros || deposit.nonce !== topUpSalt)
    throw new OrienError('deposit_refused', 'The transfer must be of the amount, and its nonce the salt')
  if (additionalMicros < LIMITS.minimumDepositMicros)
    throw new OrienError('deposit_refused', `A deposit is at least ${LIMITS.minimumDepositMicros} micro-USDC`)
  const seconds = Math.floor(ctx.clock.now().getTime() / 1_000)
  if (deposit.validAfter > seconds || deposit.validBefore <= seconds)
    throw new OrienError('deposit_refused', 'The authorisation is not valid now')
  const { chainId, token, tokenName, tokenVersion } = ctx.chain
  const [from, to] = [caller.wallet, ctx.custody.address]
  const digest = transferDigest({ chainId, token, tokenName, tokenVersion, from, to, ...deposit })
  if (recoverSigner(digest, deposit.signature) !== from)
    throw new OrienError('signature_invalid', 'The transfer is not signed by the wallet of this agent')
  const call = encodeTransferWithAuthorization(token, { from, to }, deposit)
  await tryTransfer(ctx, from, additionalMicros, call)
  await lockAgent(unit.tx, caller.agentId)
  const balance = await selectBalance(unit.tx, caller.agentId)
  const total = Object.values(balance).reduce((sum, amount) => sum + amount, additionalMicros)
  if (total > LIMITS.custodialBalanceMicros) {
    const facts = { capMicros: LIMITS.custodialBalanceMicros.toString(), wouldBeMicros: total.toString() }
    throw new OrienError('custodial_cap_exceeded', undefined, facts)
  }
  const { agentId } = caller
  const reference = `${from} ${deposit.nonce}`
  await requireAllowance(ctx, unit, { what: 'transfer', reference, payer: agentId })
  const planned = { kind: 'custody_deposit' as const, reference, agentId }
  await ctx.outbox.plan(unit, { ...planned, amountMicros: additionalMicros, ...call, detail: {} })
}

/** What would fail costs the relayer nothing. */
async function tryTransfer(
  ctx: Context,
  wallet: Hex,
  amount: bigint,
  call: { to: Hex; data: Hex },
): Promise<void> {
  if ((await ctx.rail.balanceOf(wallet)) < amount)
    throw new OrienError('insufficient_funds', 'The wallet holds less USDC than the deposit')
  const trial = await ctx.rail.simulate(call)
  if (!trial.ok) throw new OrienError('deposit_refused', `The transfer would fail: ${trial.error}`)
}
