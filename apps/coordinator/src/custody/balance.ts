import { type BalanceView, LIMITS, micros } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Executor } from '../db/executor.ts'
import { selectBalance } from './store.ts'

/** The caller's custodial balance, and how to add to it. */
export async function viewBalance(
  ctx: Pick<Context, 'chain' | 'custody'>,
  db: Executor,
  caller: Pick<Caller, 'agentId'>,
): Promise<BalanceView> {
  const { availableMicros, committedMicros, withdrawingMicros, inSessionsMicros } = await selectBalance(
    db,
    caller.agentId,
  )
  const { chainId, token, tokenName, tokenVersion } = ctx.chain
  return {
    custodial: true,
    availableMicros: micros(availableMicros),
    committedMicros: micros(committedMicros),
    withdrawingMicros: micros(withdrawingMicros),
    inSessionsMicros: micros(inSessionsMicros),
    capMicros: micros(LIMITS.custodialBalanceMicros),
    deposit: { chainId, token, tokenName, tokenVersion, to: ctx.custody.address },
  }
}
