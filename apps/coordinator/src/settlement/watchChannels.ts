import { type Hex, micros, splitCumulative } from '@orien/protocol'
import { readCloseRequests, readCloses, readHead, readPayouts, readSettlement } from '@orien/rails'
import type { Context } from '../context.ts'
import { beginEnd } from '../session/end.ts'
import { lockSession, updateSession } from '../session/store.ts'
import { lookThrough } from './lookThrough.ts'
import { noteClaims } from './noteClaims.ts'
import type { RelayerChain } from './relayerChain.ts'
import { settleSessions } from './settle.ts'
import { insertForeign, selectActiveByChannel, selectByChannel, selectClosedElsewhere } from './store.ts'

/** How often the chain is asked for what others did to our channels. */
const LOOK_EVERY_MS = 5_000
/** Blocks before the start that are looked through: nodes bound how many can be asked for at once. */
const LOOK_BACK_BLOCKS = 1_000n
const BATCH = 50

/** What others do to channels: closes that are requested, what is claimed, and channels that are closed without us. */
export type ChannelWatcher = { look: () => Promise<void> }

export function createChannelWatcher(ctx: Context, chain: RelayerChain): ChannelWatcher {
  const everyMs = ctx.config.channelLookMs ?? LOOK_EVERY_MS
  let seenBlock: bigint | null = null
  let lookedAtMs = Number.NEGATIVE_INFINITY
  return {
    look: async () => {
      if (ctx.clock.monotonicMs() - lookedAtMs < everyMs) return
      lookedAtMs = ctx.clock.monotonicMs()
      const head = await readHead(chain.client, chain.profile)
      if (head.status === 'unreachable') return
      const { latestBlock } = head
      const finalBlock = head.finalBlock < 0n ? 0n : head.finalBlock
      const range = { fromBlock: firstOf(latestBlock, seenBlock), toBlock: latestBlock }
      const reading = await readCloseRequests(chain.client, ctx.chain.escrow, range)
      const closes = await readCloses(chain.client, ctx.chain.escrow, range)
      // Final ones alone: what is noted as claimed is never taken back.
      const settled = { fromBlock: firstOf(finalBlock, seenBlock), toBlock: finalBlock }
      const paid = await readPayouts(chain.client, ctx.chain.escrow, settled)
      if (reading.status === 'unreachable' || closes.status === 'unreachable') return
      if (paid.status === 'unreachable') return
      if (seenBlock === null) await noteMissed(ctx, chain)
      await noteClaims(ctx, paid.payouts)
      await endClosed(ctx, closes.channelIds)
      // By its signature or by hand: a close that is asked for takes no new work from here on.
      for (const { channelId, requestedAt } of reading.requests)
        await noteRequest(ctx, channelId, new Date(requestedAt * 1_000))
      // Blocks that are not final may be others the next time.
      seenBlock = finalBlock
      await adoptCloses(ctx, chain, finalBlock)
    },
  }
}

/** Where to begin when blocks are looked at up to one of them. Finality may be further back than what may be asked for. */
function firstOf(toBlock: bigint, seenBlock: bigint | null): bigint {
  const first = toBlock > LOOK_BACK_BLOCKS ? toBlock - LOOK_BACK_BLOCKS : 0n
  return seenBlock === null || seenBlock < first ? first : seenBlock
}

/** What was done while no coordinator was there. */
async function noteMissed(ctx: Context, chain: RelayerChain): Promise<void> {
  const missed = await lookThrough(ctx, chain)
  for (const { channelId, state } of missed)
    if (state.closeRequestedAt !== null)
      await noteRequest(ctx, channelId, new Date(state.closeRequestedAt * 1_000))
  const open = missed.filter(({ state }) => state.phase !== 'finalized')
  await noteClaims(
    ctx,
    open.map(({ channelId, state }) => ({ channelId, cumulativeMicros: state.settledMicros })),
  )
  const closed = missed.filter(({ state }) => state.phase === 'finalized')
  await endClosed(
    ctx,
    closed.map(({ channelId }) => channelId),
  )
}

/** A channel that its provider has closed by itself pays for nothing more: its session takes no new work. */
async function endClosed(ctx: Context, channelIds: readonly Hex[]): Promise<void> {
  for (const id of await selectActiveByChannel(ctx.db.read, channelIds)) {
    await ctx.db.write(async (unit) => {
      const row = await lockSession(unit.tx, id)
      if (row) await beginEnd(ctx, unit, row, 'close_requested')
    })
  }
}

async function noteRequest(ctx: Context, channelId: Hex, closeRequestedAt: Date): Promise<void> {
  const id = await selectByChannel(ctx.db.read, channelId)
  if (!id) return
  await ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, id)
    if (!row || row.closeRequestedAt) return
    const requested = await updateSession(unit.tx, id, { closeRequestedAt })
    ctx.log.info({ event: 'session.close_requested', sessionId: id })
    await beginEnd(ctx, unit, requested, 'close_requested')
  })
}

/** Settles sessions whose channels somebody else has closed, by what the chain says of it. */
async function adoptCloses(ctx: Context, { client }: RelayerChain, finalBlock: bigint): Promise<void> {
  const { escrow } = ctx.chain
  for (const { sessionId, channelId, openedBlock } of await selectClosedElsewhere(ctx.db.read, BATCH)) {
    const reading = await readSettlement(client, escrow, channelId, { fromBlock: openedBlock })
    if (reading.status !== 'settled' || reading.settlement.blockNumber > finalBlock) continue
    const { txHash, blockNumber, refundMicros, payeeMicros, platformMicros, reserveMicros } =
      reading.settlement
    const amountMicros = payeeMicros + platformMicros + reserveMicros
    await ctx.db.write(async (unit) => {
      const session = await lockSession(unit.tx, sessionId)
      if (session?.status !== 'completed' || session.channelStatus !== 'open') return
      const id = ctx.random.id('payment')
      const place = { to: escrow, txHash, blockNumber, detail: { channelId } }
      const row = await insertForeign(unit.tx, { id, kind: 'close', sessionId, amountMicros, ...place })
      const closed = { ...splitCumulative(micros(amountMicros)), refundMicros }
      await settleSessions(ctx, unit, [{ row, closed }])
    })
    ctx.log.warn({ event: 'settlement.closed_elsewhere', sessionId, txHash })
  }
}
