import { orienEscrowAbi } from '@orien/contracts'
import { type BatchKind, batchDigest, isCanonicalSignature, micros } from '@orien/protocol'
import { type Address, encodeFunctionData, encodeFunctionResult, type Hex } from 'viem'
import { encodeBatch, type SignedBatch } from '../../encodeBatch.ts'
import {
  type Cast,
  claimantOf,
  keyOf,
  mayClaim,
  type Step,
  selectorOf,
  someChannel,
  someMicros,
  someVoucher,
} from './cast.ts'
import { directClaim, relayedClaim } from './claims.ts'
import { requestClose, requestCloseWithAuthorization, setOperator, takeCredit, withdraw } from './exits.ts'
import {
  type Ghost,
  type GhostChannel,
  push,
  recordClaim,
  refusalOfClaim,
  refusalOfDead,
  type ShownVoucher,
  type Verdict,
} from './ghost.ts'
import { open, openWithAuthorization, topUp, topUpWithAuthorization } from './openings.ts'
import type { Signer } from './quickSigner.ts'

type Item = { channel: GhostChannel; claim: bigint; voucher: ShownVoucher }
type Part = { payee: Address; signer: Signer; isIntact: boolean; deadline: bigint; items: Item[] }

function somePart(cast: Cast, kind: BatchKind): { part: Part; signed: SignedBatch } {
  const { chance, ghost, place } = cast
  const first = someChannel(cast)
  const { payee } = first
  const same = cast.ids
    .slice(-60)
    .map((id) => ghost.channels.get(id))
    .filter((each) => each?.payee === payee)
  const channels = [
    first,
    ...Array.from({ length: chance.below(4) }, () => (same.length > 0 ? chance.pick(same) : first) ?? first),
  ]
  if (chance.oneIn(8)) channels.push(someChannel(cast))
  const drafts = channels.map((channel) => {
    const claim = someMicros(cast, channel)
    const shown = someVoucher(cast, channel, claim, false)
    // Whoever encodes a batch takes signatures in canonical form only.
    const signature: Hex = isCanonicalSignature(shown.signature) ? shown.signature : `0x${'11'.repeat(64)}1b`
    return { channel, claim, voucher: { ...shown, signature } }
  })
  const items = drafts
  const signer = keyOf(cast, claimantOf(cast, payee))
  const deadline = chance.oneIn(20) ? ghost.now - 1n : ghost.now + 50n
  const claims = items.map(({ channel, claim }) => ({ channelId: channel.id, claimMicros: micros(claim) }))
  const terms = { payee, claims, deadline: Number(deadline) }
  const isIntact = !chance.oneIn(15)
  const signature = signer.sign(batchDigest(place, isIntact ? kind : otherKind[kind], terms))
  const vouchers = items.map(({ voucher }) => ({
    cumulativeMicros: micros(voucher.micros),
    signature: voucher.signature,
  }))
  return { part: { payee, signer, isIntact, deadline, items }, signed: { terms, signature, vouchers } }
}

const otherKind = { ClaimBatch: 'CloseBatch', CloseBatch: 'ClaimBatch' } as const

function refusalOfPart(cast: Cast, { payee, signer, isIntact, deadline }: Part): Verdict {
  if (cast.ghost.now > deadline) return 'AuthorizationExpired'
  return isIntact && mayClaim(cast, payee, signer.address) ? null : 'InvalidSignature'
}

function refusalOfItem(
  ghost: Ghost,
  { channel, claim, voucher }: Item,
  payee: Address,
  closes: boolean,
): Verdict {
  const dead = refusalOfDead(ghost.channels.get(channel.id))
  if (dead !== null) return dead
  return channel.payee === payee ? refusalOfClaim(channel, claim, voucher, closes) : 'NotPayee'
}

/** Plays a batch on the ghost: everything that is due is paid in sums, which come to the same. */
function play(cast: Cast, parts: Part[], closes: boolean): Verdict[] {
  const { ghost } = cast
  const refusals: Verdict[] = []
  const total = { platform: 0n, reserve: 0n }
  for (const part of parts) {
    const refusal = refusalOfPart(cast, part)
    let payeeDue = 0n
    for (const item of part.items) {
      const each = refusal ?? refusalOfItem(ghost, item, part.payee, closes)
      refusals.push(each)
      if (each !== null) continue
      const due = recordClaim(item.channel, item.claim, closes)
      payeeDue += due.payee
      total.platform += due.platform
      total.reserve += due.reserve
      push(ghost, item.channel.payer, due.refund)
    }
    push(ghost, part.payee, payeeDue)
  }
  push(ghost, ghost.platform, total.platform)
  push(ghost, ghost.reserve, total.reserve)
  return refusals
}

const encodeRefusals = (functionName: 'claimBatch' | 'tryAll', refusals: Verdict[]): Hex =>
  encodeFunctionResult({
    abi: orienEscrowAbi,
    functionName,
    result: refusals.map((refusal) => (refusal === null ? '0x00000000' : selectorOf(refusal))),
  })

/** `claimBatch` or `closeBatch` of one to three providers. */
export function batch(cast: Cast, as?: number): Step {
  const { chance, place } = cast
  const kind = chance.pick(['ClaimBatch', 'CloseBatch', 'CloseBatch'] as const)
  const drafts: { part: Part; signed: SignedBatch }[] = []
  for (let count = 1 + chance.below(3); count > 0; count -= 1) drafts.push(somePart(cast, kind))
  const { data } = encodeBatch(
    place.escrow,
    kind,
    drafts.map(({ signed }) => signed),
  )
  const refusals = play(
    cast,
    drafts.map(({ part }) => part),
    kind === 'CloseBatch',
  )
  const returned = encodeRefusals('claimBatch', refusals)
  const actor = as ?? chance.below(cast.actors.length)
  const gas = 400_000n + 70_000n * BigInt(drafts.length + refusals.length)
  return { verb: kind, actor, target: place.escrow, data, gas, verdict: null, returned }
}

/** The calls that may be tried together. */
export const singleVerbs = [
  ...[open, openWithAuthorization, openWithAuthorization, topUp, topUpWithAuthorization],
  ...[directClaim, directClaim, relayedClaim, relayedClaim, requestClose, requestCloseWithAuthorization],
  ...[withdraw, setOperator, takeCredit],
]

/** `tryAll` of a few calls by one caller. */
export function together(cast: Cast): Step {
  const { chance, place } = cast
  const actor = chance.below(cast.actors.length)
  const steps: Step[] = []
  for (let count = 1 + chance.below(3); count > 0; count -= 1) {
    steps.push(chance.pick([...singleVerbs, batch])(cast, actor))
  }
  const gasPerCall = BigInt(Math.max(...steps.map((step) => Number(step.gas))))
  const args = [steps.map(({ data }) => data), gasPerCall] as const
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'tryAll', args })
  const returned = encodeRefusals(
    'tryAll',
    steps.map(({ verdict }) => verdict),
  )
  const gas = 100_000n + gasPerCall * BigInt(steps.length + 1)
  const verb = `tryAll of ${steps.map((step) => step.verb).join(', ')}`
  return { verb, actor, target: place.escrow, data, gas, verdict: null, returned }
}
