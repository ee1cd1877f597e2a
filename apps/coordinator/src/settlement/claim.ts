import {
  channelId,
  claimDigest,
  type Hex,
  type Id,
  micros,
  OrienError,
  type SignedRegistration,
  splitCumulative,
} from '@orien/protocol'
import { encodeClaimAndCloseWithAuthorization, encodeForfeitWithAuthorization } from '@orien/rails'
import type { Context } from '../context.ts'
import { appendEvent } from '../events/append.ts'
import type { Patience } from '../jobs/patience.ts'
import { lockSession, type SessionRow, updateSession } from '../session/store.ts'
import { channelOf } from '../session/view.ts'
import { recoverSigner } from '../signatures.ts'
import { selectUnclaimed } from './store.ts'

/** How long a claim's signature lives on the chain, seconds. */
const CLAIM_LIFE_SECONDS = 3_600
const BATCH = 50

/**
 * Asks the connected nodes of completed sessions for their signature under the final amount. Those that are away and
 * those that have just refused are left out of the batch: however many they are, they hold up nobody else.
 */
export async function collectClaims(ctx: Context, patience: Patience): Promise<void> {
  const providerIds = ctx.nodes.online()
  const unclaimed = await selectUnclaimed(ctx.db.read, {
    providerIds,
    except: patience.resting(),
    limit: BATCH,
  })
  for (const session of unclaimed) {
    try {
      await collectClaim(ctx, session)
      patience.worked(session.id)
    } catch (err) {
      patience.failed(session.id)
      ctx.log.warn({ event: 'settlement.claim_failed', sessionId: session.id, err })
    }
  }
}

async function collectClaim(ctx: Context, session: SessionRow): Promise<void> {
  const channel = channelOf(session, ctx.chain)
  if (!channel || !session.voucherSignature) return
  const claimMicros = micros(session.spentMicros)
  const nonce = BigInt(ctx.random.word())
  const deadline = (await ctx.rail.now()) + CLAIM_LIFE_SECONDS
  const sessionId = session.id as Id<'session'>
  const request = {
    type: 'claimRequest' as const,
    sessionId,
    channel,
    claimMicros,
    nonce: nonce.toString(),
    deadline,
  }
  const answer = await ctx.nodes.ask(session.providerId, request, 'claim')
  const claim = { channelId: channelId(channel), claimMicros, nonce, deadline }
  const signer = recoverSigner(claimDigest(channel, 'ClaimAndClose', claim), answer.signature)
  const { registration } = session.registration as SignedRegistration
  if (signer !== registration.operator && signer !== registration.payout) {
    throw new OrienError('signature_invalid', 'The claim is not signed by the provider’s operator')
  }
  const signed = { claim, claimSignature: answer.signature }
  const voucher = {
    cumulativeMicros: micros(session.authorisedMicros),
    signature: session.voucherSignature as Hex,
  }
  const call =
    claimMicros === 0n
      ? encodeForfeitWithAuthorization(ctx.chain.escrow, signed)
      : encodeClaimAndCloseWithAuthorization(ctx.chain.escrow, { ...signed, voucher })
  await ctx.db.write(async (unit) => {
    const current = await lockSession(unit.tx, session.id)
    if (
      current?.status !== 'completed' ||
      current.channelStatus !== 'open' ||
      current.spentMicros !== claimMicros
    )
      return
    await ctx.outbox.plan(unit, {
      kind: 'close',
      reference: session.id,
      sessionId: session.id,
      amountMicros: claimMicros,
      ...call,
      detail: { channelId: claim.channelId },
    })
    const { providerMicros, platformMicros, reserveMicros } = splitCumulative(claimMicros)
    const data = {
      claimMicros: claimMicros.toString(),
      providerMicros: providerMicros.toString(),
      platformMicros: platformMicros.toString(),
      reserveMicros: reserveMicros.toString(),
      refundedMicros: (current.depositMicros - claimMicros).toString(),
    }
    await appendEvent(ctx.bus, unit, session.id, { type: 'settlement.planned', data })
    await updateSession(unit.tx, session.id, { channelStatus: 'closing' })
  })
}
