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
import { lockSession, type SessionRow, updateSession } from '../session/store.ts'
import { channelOf } from '../session/view.ts'
import { recoverSigner } from '../signatures.ts'
import { selectUnclaimed } from './store.ts'

/** How long a claim's signature lives on the chain, seconds. */
const CLAIM_LIFE_SECONDS = 3_600
const BATCH = 50

/** Asks the nodes of all completed sessions for their signature under the final amount. One that is away is asked later. */
export async function collectClaims(ctx: Context): Promise<void> {
  for (const session of await selectUnclaimed(ctx.db.read, BATCH)) {
    if (!ctx.nodes.isOnline(session.providerId)) continue
    await collectClaim(ctx, session).catch((err: unknown) => {
      ctx.log.warn({ event: 'settlement.claim_failed', sessionId: session.id, err })
    })
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
