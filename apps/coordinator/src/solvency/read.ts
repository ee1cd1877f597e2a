import { micros, type OperationOutput, type getSolvency as operation } from '@orien/protocol'
import type { Context } from '../context.ts'
import { noteClaims } from '../settlement/noteClaims.ts'
import { selectLiabilities } from './store.ts'

type Solvency = OperationOutput<typeof operation>

/** The page is public and its answer is a sum over the whole ledger: the same one is given for this long. */
const FRESH_MS = 2_000

/** Reads solvency at most once at a time and every so often, however many ask. */
export function createSolvencyReader(ctx: Context): () => Promise<Solvency> {
  let underWay: Promise<Solvency> | null = null
  let last: { solvency: Solvency; untilMs: number } | null = null
  return async () => {
    const nowMs = ctx.clock.now().getTime()
    if (last && nowMs < last.untilMs) return last.solvency
    underWay ??= readSolvency(ctx).finally(() => {
      underWay = null
    })
    const solvency = await underWay
    last = { solvency, untilMs: nowMs + FRESH_MS }
    return solvency
  }
}

/** Ledger and chain cannot be read at one instant: only what stays missing is missing. */
const LOOKS = 3

async function readSolvency(ctx: Context): Promise<Solvency> {
  let solvency = await look(ctx)
  for (let looks = 1; looks < LOOKS && !solvency.isSolvent; looks += 1) {
    // A provider may have claimed a part of what it has earned since the chain was looked through.
    await noteClaims(ctx, await ctx.rail.payouts())
    solvency = await look(ctx)
  }
  return solvency
}

/**
 * The ledger before the chain: what is final in it is on the chain by then. What the chain has paid meanwhile belongs to
 * channels that were closing, whose deposits are named beside it, or was claimed of open ones, which is named with them.
 */
async function look(ctx: Context): Promise<Solvency> {
  const owed = await selectLiabilities(ctx.db.read)
  const held = await ctx.rail.holdings(ctx.custody.address)
  const inEscrow = owed.budgetsMicros + owed.payablesMicros + owed.earningsMicros
  return {
    isSolvent:
      held.escrowMicros + owed.settlingMicros >= inEscrow &&
      held.reserveMicros >= owed.reserveMicros + owed.refundsMicros &&
      held.walletMicros + owed.custodyMovingMicros >= owed.custodialMicros,
    liabilities: {
      budgetsMicros: micros(owed.budgetsMicros),
      payablesMicros: micros(owed.payablesMicros),
      earningsMicros: micros(owed.earningsMicros),
      reserveMicros: micros(owed.reserveMicros),
      refundsMicros: micros(owed.refundsMicros),
      custodialMicros: micros(owed.custodialMicros),
    },
    holdings: {
      blockNumber: Number(held.blockNumber),
      escrowMicros: micros(held.escrowMicros),
      reserveMicros: micros(held.reserveMicros),
      custodyMicros: micros(held.walletMicros),
    },
    custodyMovingMicros: micros(owed.custodyMovingMicros),
    settlingMicros: micros(owed.settlingMicros),
    readAt: ctx.clock.now().toISOString(),
  }
}
