import {
  batchDigest,
  channelId,
  type Hex,
  type Id,
  LIMITS,
  micros,
  OrienError,
  type SignedRegistration,
} from '@orien/protocol'
import { type BatchPlan, planBatches, type SignedBatch } from '@orien/rails'
import type { Context } from '../context.ts'
import { channelOf } from '../session/view.ts'
import { recoverSigner } from '../signatures.ts'
import type { ClaimDesk } from './claimDesk.ts'
import { type Candidate, planClose, type SignedGroup } from './planClose.ts'
import { selectUnclaimed } from './store.ts'

/** How long a claim's signature lives on the chain, seconds. */
const CLAIM_LIFE_SECONDS = 3_600
/** Sessions whose claims are asked for at once. */
const MAX_CLAIMS = 1_000
/** Signatures that are there by then go into one transaction; whoever is slower gets one of its own. */
const GATHER_MS = 400

/**
 * Asks the connected nodes of completed sessions, all at once, for one signature each under their final amounts, and
 * plans their closes as few transactions. Those that are away, have not answered yet or have just refused are left out:
 * however many they are, they hold up nobody else.
 */
export async function collectClaims(ctx: Context, desk: ClaimDesk): Promise<void> {
  const busy = new Set(desk.busy())
  const unclaimed = await selectUnclaimed(ctx.db.read, {
    providerIds: ctx.nodes.online().filter((id) => !busy.has(id)),
    except: [...desk.patience.resting(), ...desk.asking()],
    perProvider: LIMITS.batchClaims,
    limit: MAX_CLAIMS,
  })
  const candidates = unclaimed.flatMap((session): Candidate[] => {
    const channel = channelOf(session, ctx.chain)
    if (!channel) return []
    const claimMicros = micros(session.spentMicros)
    const claim = { sessionId: session.id as Id<'session'>, channel, claimMicros }
    return [{ payee: channel.payee, payer: channel.payer, claim, session }]
  })
  if (candidates.length === 0) return
  const deadline = (await ctx.rail.now()) + CLAIM_LIFE_SECONDS
  await Promise.all(planBatches(candidates).map((plan) => gather(ctx, desk, plan, deadline)))
}

async function gather(
  ctx: Context,
  desk: ClaimDesk,
  { groups }: BatchPlan<Candidate>,
  deadline: number,
): Promise<void> {
  const prompt: SignedGroup[] = []
  let isOver = false
  const answers = groups.map(({ claims }) => {
    const answer = askProvider(ctx, claims, deadline)
      .then(async (group) => {
        restRefused(desk, claims, group)
        if (!group) return
        if (isOver) await planClose(ctx, [group])
        else prompt.push(group)
      })
      .catch((err: unknown) => {
        for (const { session } of claims) desk.patience.failed(session.id)
        ctx.log.warn({ event: 'settlement.claim_failed', providerId: claims[0]?.session.providerId, err })
      })
    const sessionIds = claims.map(({ session }) => session.id)
    desk.asked({ providerId: claims[0]?.session.providerId ?? '', sessionIds }, answer)
    return answer
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, GATHER_MS)
  await Promise.race([Promise.all(answers), promise])
  clearTimeout(timer)
  isOver = true
  if (prompt.length > 0) await planClose(ctx, prompt)
}

function restRefused({ patience }: ClaimDesk, asked: readonly Candidate[], group: SignedGroup | null): void {
  const signed = new Set(group?.candidates)
  for (const candidate of asked) {
    if (signed.has(candidate)) patience.worked(candidate.session.id)
    else patience.failed(candidate.session.id)
  }
}

/**
 * @returns null when the node refuses all of them
 * @throws OrienError `provider_offline`, `node_unreachable`, `signature_invalid`
 */
async function askProvider(
  ctx: Context,
  asked: readonly Candidate[],
  deadline: number,
): Promise<SignedGroup | null> {
  const [first] = asked
  if (!first) return null
  const { providerId } = first.session
  const request = { type: 'claimRequest' as const, claims: asked.map(({ claim }) => claim), deadline }
  const { signature, refused } = await ctx.nodes.ask(providerId, request, 'claim')
  for (const refusal of refused) ctx.log.warn({ event: 'settlement.claim_failed', providerId, ...refusal })
  const refusedIds = new Set<string>(refused.map(({ sessionId }) => sessionId))
  const candidates = asked.filter(({ session }) => !refusedIds.has(session.id))
  if (!signature || candidates.length === 0) return null
  const claims = candidates.map(({ claim: { channel, claimMicros } }) => ({
    channelId: channelId(channel),
    claimMicros,
  }))
  const terms = { payee: first.payee, claims, deadline }
  const signer = recoverSigner(batchDigest(ctx.chain, 'CloseBatch', terms), signature)
  const { registration } = first.session.registration as SignedRegistration
  if (signer !== registration.operator && signer !== registration.payout)
    throw new OrienError('signature_invalid', 'The claim is not signed by the provider’s operator')
  return { candidates, batch: { terms, signature, vouchers: candidates.map(voucherOf) } }
}

/** What is closed without a payment needs no voucher. */
function voucherOf({ session, claim }: Candidate): SignedBatch['vouchers'][number] {
  if (claim.claimMicros === 0n || !session.voucherSignature) return null
  return {
    cumulativeMicros: micros(session.authorisedMicros),
    signature: session.voucherSignature as Hex,
  }
}
