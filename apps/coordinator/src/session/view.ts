import {
  type ChannelTerms,
  type Hex,
  type Id,
  LIMITS,
  micros,
  type PaymentTerms,
  type SessionView,
  type SettlementView,
  splitCumulative,
  type TransactionStatus,
} from '@orien/protocol'
import type { ChainTerms, Context } from '../context.ts'
import { type SessionRow, selectClosings, type TransactionRow } from './store.ts'

/** The channel that a session's money is in; undefined until the agent has named its keys. */
export function channelOf(row: SessionRow, chain: ChainTerms): ChannelTerms | undefined {
  if (!row.payer || !row.authorizedSigner) return undefined
  return {
    chainId: chain.chainId,
    escrow: chain.escrow,
    token: chain.token,
    payer: row.payer as Hex,
    payee: row.payee as Hex,
    salt: row.salt as Hex,
    authorizedSigner: row.authorizedSigner as Hex,
  }
}

function paymentOf(row: SessionRow, chain: ChainTerms): PaymentTerms {
  const { chainId, escrow, token, tokenName, tokenVersion, closeGraceMs } = chain
  return {
    chainId,
    escrow,
    token,
    tokenName,
    tokenVersion,
    closeGraceMs,
    payee: row.payee as Hex,
    salt: row.salt as Hex,
    minimumDepositMicros: micros(chain.minimumDepositMicros ?? LIMITS.minimumDepositMicros),
  }
}

function settlementOf(row: SessionRow, closing: TransactionRow | undefined): SettlementView | undefined {
  if (row.status !== 'completed' && row.status !== 'settled') return undefined
  if (!closing && row.channelStatus !== 'open' && row.channelStatus !== 'opening') return undefined
  // What was not claimed is not paid: the chain may have closed the channel at another sum than the receipts'.
  const claim = micros(closing?.amountMicros ?? row.spentMicros)
  const deposit = row.depositMicros > 0n ? row.depositMicros : row.budgetMicros
  return {
    status: closing ? (closing.status as TransactionStatus) : 'awaiting_claim',
    ...(closing?.txHash ? { txHash: closing.txHash as Hex } : {}),
    ...(closing?.blockNumber ? { blockNumber: Number(closing.blockNumber) } : {}),
    claimMicros: claim,
    ...splitCumulative(claim),
    refundedMicros: micros(deposit - claim),
  }
}

/** A session as its agent sees it. */
export function viewSession(row: SessionRow, chain: ChainTerms, closing?: TransactionRow): SessionView {
  const channel = channelOf(row, chain)
  const settlement = settlementOf(row, closing)
  return {
    id: row.id as Id<'session'>,
    agentId: row.agentId as Id<'agent'>,
    providerId: row.providerId as Id<'provider'>,
    status: row.status as SessionView['status'],
    rail: 'escrow',
    ...(row.isCustodial ? { custodial: true } : {}),
    ...(row.mission === null ? {} : { mission: row.mission }),
    rateMicrosPerMinute: micros(row.rateMicrosPerMinute),
    budgetMicros: micros(row.budgetMicros),
    consumedMicros: micros(row.spentMicros),
    heldMicros: micros(row.heldMicros),
    remainingMicros: micros(row.budgetMicros - row.spentMicros - row.heldMicros),
    authorisedMicros: micros(row.authorisedMicros),
    ...(row.stepMicros === null ? {} : { stepMicros: micros(row.stepMicros) }),
    effectiveMs: Number(row.effectiveMs),
    executions: row.executions,
    offer: row.offer,
    payment: paymentOf(row, chain),
    ...(channel && row.channelId ? { channel, channelId: row.channelId as Hex } : {}),
    channelStatus: row.channelStatus,
    ...(settlement ? { settlement } : {}),
    createdAt: row.createdAt.toISOString(),
    ...(row.startedAt ? { startedAt: row.startedAt.toISOString() } : {}),
    ...(row.endedAt ? { endedAt: row.endedAt.toISOString() } : {}),
  }
}

/** Views of some sessions, each with its settlement. */
export async function viewSessions(ctx: Context, rows: readonly SessionRow[]): Promise<SessionView[]> {
  const over = rows.filter((row) => row.status === 'completed' || row.status === 'settled')
  const closings = await selectClosings(
    ctx.db.read,
    over.map((row) => row.id),
  )
  return rows.map((row) => viewSession(row, ctx.chain, closings.get(row.id)))
}
