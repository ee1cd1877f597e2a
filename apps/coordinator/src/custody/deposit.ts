import { type DepositAuthorization, type Hex, LIMITS, OrienError, transferDigest } from '@orien/protocol'
import { encodeTransferWithAuthorization, type SignedTransfer } from '@orien/rails'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { requireAllowance } from '../relayer/allowance.ts'
import { recoverSigner } from '../signatures.ts'
import { isCredited, lockAgent, selectBalance } from './store.ts'

type Asked = { additionalMicros: bigint; topUpSalt: Hex; deposit: DepositAuthorization }

/**
 * Takes a signed transfer from the agent's wallet into its custodial balance: relayed at once, credited when it is final
 * on the chain and not before. One that somebody else has submitted is taken as well, above the cap too: its money is
 * here already, and it is the agent's.
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
  const { chainId, token, tokenName, tokenVersion } = ctx.chain
  const [from, to] = [caller.wallet, ctx.custody.address]
  const digest = transferDigest({ chainId, token, tokenName, tokenVersion, from, to, ...deposit })
  if (recoverSigner(digest, deposit.signature) !== from)
    throw new OrienError('signature_invalid', 'The transfer is not signed by the wallet of this agent')
  const call = encodeTransferWithAuthorization(token, { from, to }, deposit)
  const transfer = { from, to, valueMicros: additionalMicros, nonce: deposit.nonce }
  const hasArrived = await arrivedAlready(ctx, transfer)
  if (!hasArrived) {
    requireValid(ctx, deposit)
    await tryTransfer(ctx, from, additionalMicros, call)
  }
  const { agentId } = caller
  await lockAgent(unit.tx, agentId)
  const reference = `${from} ${deposit.nonce}`
  if (await isCredited(unit.tx, reference))
    throw new OrienError('deposit_refused', 'This transfer was credited already')
  // What has arrived costs the relayer nothing.
  if (!hasArrived) {
    await requireRoom(unit, agentId, additionalMicros)
    await requireAllowance(ctx, unit, { what: 'transfer', reference, payer: agentId })
  }
  const detail = { to, nonce: deposit.nonce, validBefore: deposit.validBefore }
  const planned = { kind: 'custody_deposit' as const, reference, agentId, amountMicros: additionalMicros }
  await ctx.outbox.plan(unit, { ...planned, ...call, detail })
}

/** What is not valid now the token would refuse; what is valid for long somebody else could submit as long. */
function requireValid({ clock }: Pick<Context, 'clock'>, deposit: DepositAuthorization): void {
  const seconds = Math.floor(clock.now().getTime() / 1_000)
  if (deposit.validAfter > seconds || deposit.validBefore <= seconds)
    throw new OrienError('deposit_refused', 'The authorisation is not valid now')
  if ((deposit.validBefore - seconds) * 1_000 > LIMITS.custodialDepositMs)
    throw new OrienError('deposit_refused', 'The authorisation is valid for more than a day')
}

/** @throws OrienError `deposit_refused` when its holder has cancelled it, or spent its nonce on another transfer */
async function arrivedAlready(ctx: Context, transfer: SignedTransfer): Promise<boolean> {
  const { status } = await ctx.rail.findArrival(transfer)
  if (status === 'unused') return false
  if (status === 'arrived') return true
  throw new OrienError('deposit_refused', 'The nonce of this transfer is spent, and its money is not here')
}

async function requireRoom(unit: Unit, agentId: string, additionalMicros: bigint): Promise<void> {
  const balance = await selectBalance(unit.tx, agentId)
  const total = Object.values(balance).reduce((sum, amount) => sum + amount, additionalMicros)
  if (total <= LIMITS.custodialBalanceMicros) return
  const facts = { capMicros: LIMITS.custodialBalanceMicros.toString(), wouldBeMicros: total.toString() }
  throw new OrienError('custodial_cap_exceeded', undefined, facts)
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
