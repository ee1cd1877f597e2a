import { orienEscrowAbi } from '@orien/contracts'
import {
  bytes32Word,
  claimDigest,
  escrowDomain,
  micros,
  type TypedDomain,
  typedDigest,
  uintWord,
} from '@orien/protocol'
import { encodeFunctionData, type Hex } from 'viem'
import {
  actorOf,
  type Cast,
  claimantOf,
  keyOf,
  mayClaim,
  type Step,
  someChannel,
  someMicros,
  someVoucher,
} from './cast.ts'
import { claim, type GhostChannel, refusalOfClaim, refusalOfDead, spendNonce, type Verdict } from './ghost.ts'

// Four payments that all become new credits, and what the last one must find left.
const gas = 430_000n

/** What is wanted of a channel. */
function someClaim(cast: Cast, exactly: boolean) {
  const channel = someChannel(cast)
  const amount = someMicros(cast, channel)
  return { channel, amount, voucher: someVoucher(cast, channel, amount, exactly) }
}

/** `settle`, `close`, `claim` and `claimAndClose` by a caller, mostly the payee or its operator. */
export function directClaim(cast: Cast, as?: number): Step {
  const verb = cast.chance.pick(['settle', 'close', 'claim', 'claimAndClose'] as const)
  const isDraft = verb === 'settle' || verb === 'close'
  const { channel, amount, voucher } = someClaim(cast, isDraft)
  const actor = as ?? actorOf(cast, claimantOf(cast, channel.payee))
  const data = isDraft
    ? encodeFunctionData({
        abi: orienEscrowAbi,
        functionName: verb,
        args: [channel.id, amount, voucher.signature],
      })
    : encodeFunctionData({
        abi: orienEscrowAbi,
        functionName: verb,
        args: [channel.id, amount, voucher.micros, voucher.signature],
      })
  const verdict = (): Verdict => {
    const dead = refusalOfDead(cast.ghost.channels.get(channel.id))
    if (dead !== null) return dead
    if (!mayClaim(cast, channel.payee, cast.actors[actor] ?? '0x')) return 'NotPayee'
    return claim(cast.ghost, channel, amount, voucher, verb === 'close' || verb === 'claimAndClose')
  }
  return { verb, actor, target: cast.place.escrow, data, gas, verdict: verdict() }
}

const ways = [
  { verb: 'settleWithAuthorization', type: 'SettleAuthorization', closes: false },
  { verb: 'closeWithAuthorization', type: 'CloseAuthorization', closes: true },
  { verb: 'claimWithAuthorization', type: 'Claim', closes: false },
  { verb: 'claimAndCloseWithAuthorization', type: 'ClaimAndClose', closes: true },
] as const
type Way = (typeof ways)[number]

function digestOf(
  cast: Cast,
  { type }: Way,
  { id }: GhostChannel,
  amount: bigint,
  nonce: bigint,
  deadline: bigint,
): Hex {
  if (type === 'Claim' || type === 'ClaimAndClose') {
    const terms = { channelId: id, claimMicros: micros(amount), nonce, deadline: Number(deadline) }
    return claimDigest(cast.place, type, terms)
  }
  const domain: TypedDomain = escrowDomain(cast.place.chainId, cast.place.escrow)
  const text = `${type}(bytes32 channelId,uint128 cumulativeAmount,uint256 nonce,uint256 deadline)`
  return typedDigest(domain, text, [bytes32Word(id), uintWord(amount), uintWord(nonce), uintWord(deadline)])
}

function encodeWay({ verb, type }: Way, { id }: GhostChannel, amount: bigint, parts: Parts): Hex {
  const { voucher, nonce, deadline, signature } = parts
  const abi = orienEscrowAbi
  if (type === 'Claim' || type === 'ClaimAndClose') {
    const args = [id, amount, voucher.micros, voucher.signature, nonce, deadline, signature] as const
    return encodeFunctionData({ abi, functionName: verb as 'claimWithAuthorization', args })
  }
  const args = [id, amount, nonce, deadline, signature, voucher.signature] as const
  return encodeFunctionData({ abi, functionName: verb as 'settleWithAuthorization', args })
}
type Parts = { voucher: { micros: bigint; signature: Hex }; nonce: bigint; deadline: bigint; signature: Hex }

/** The four relayed forms; nonces come from a few, so that they are used again. */
export function relayedClaim(cast: Cast, as?: number): Step {
  const { chance, ghost } = cast
  const way = chance.pick(ways)
  const { channel, amount, voucher } = someClaim(cast, !way.type.startsWith('Claim'))
  const signer = keyOf(cast, claimantOf(cast, channel.payee))
  const nonce = chance.upTo(40n)
  const deadline = chance.oneIn(20) ? ghost.now - 1n : ghost.now + chance.upTo(1_000n)
  const signature = signer.sign(digestOf(cast, way, channel, amount, nonce, deadline))
  const data = encodeWay(way, channel, amount, { voucher, nonce, deadline, signature })
  const verdict = (): Verdict => {
    const dead = refusalOfDead(ghost.channels.get(channel.id))
    if (dead !== null) return dead
    const key = `${channel.payee} ${channel.id} ${nonce}`
    const spent = spendNonce(ghost, key, deadline, false)
    if (spent !== null) return spent
    if (!mayClaim(cast, channel.payee, signer.address)) return 'InvalidSignature'
    const refusal = refusalOfClaim(channel, amount, voucher, way.closes)
    if (refusal !== null) return refusal
    ghost.nonces.add(key)
    return claim(ghost, channel, amount, voucher, way.closes)
  }
  const actor = as ?? chance.below(cast.actors.length)
  return { verb: way.verb, actor, target: cast.place.escrow, data, gas, verdict: verdict() }
}
