import { orienEscrowAbi } from '@orien/contracts'
import { channelId, depositDigest, micros, openNonce, topUpNonce } from '@orien/protocol'
import { type Address, encodeFunctionData, type Hex } from 'viem'
import { actorOf, type Cast, type Step, someChannel, someone } from './cast.ts'
import { type GhostChannel, refusalOfDead, takeIn, type Verdict } from './ghost.ts'
import type { Signer } from './quickSigner.ts'

const nobody: Address = `0x${'00'.repeat(20)}`
const farAway = 2 ** 40
const gas = 190_000n

const someDeposit = ({ chance }: Cast): bigint =>
  chance.pick([1n, 99n, 100n, 101n, chance.upTo(5_000n), chance.upTo(5_000n), chance.oneIn(9) ? 0n : 2_000n])

type Terms = Omit<GhostChannel, 'id' | 'signer' | 'settled' | 'requestedAt' | 'finalized'> & { salt: Hex }

const idOf = ({ place, usdc }: Cast, { payer, payee, named, salt }: Terms): Hex =>
  channelId({ ...place, token: usdc, salt, payer, payee, authorizedSigner: named })

function opened(cast: Cast, terms: Terms): Verdict {
  const { ghost } = cast
  const id = idOf(cast, terms)
  if (terms.deposit === 0n) return 'ZeroDeposit'
  if (ghost.channels.has(id)) return 'ChannelAlreadyExists'
  if (!takeIn(ghost, terms.payer, terms.deposit)) return 'TokenRefused'
  const { salt: _, ...parties } = terms
  const signer = terms.named === nobody ? terms.payer : terms.named
  ghost.channels.set(id, { ...parties, id, signer, settled: 0n, requestedAt: 0n, finalized: false })
  cast.ids.push(id)
  cast.salts.set(id, terms.salt)
  return null
}

/** New terms, or those of a channel that exists already, closed or not. */
function someTerms(cast: Cast, payer: Address, signers: Address[]): Terms {
  const { chance, ids, ghost } = cast
  const old = chance.oneIn(12) && ids.length > 0 ? ghost.channels.get(chance.pick(ids)) : undefined
  const salt = old && cast.salts.get(old.id)
  if (old && salt && old.payer === payer) return { ...old, salt, deposit: someDeposit(cast) }
  const terms = { payer, payee: someone(cast), named: chance.pick(signers), salt: chance.salt() }
  return { ...terms, deposit: someDeposit(cast) }
}

/** `open` by an actor. */
export function open(cast: Cast, as?: number): Step {
  const actor = as ?? cast.chance.below(cast.actors.length)
  const payer = cast.actors[actor] ?? nobody
  const terms = someTerms(
    cast,
    payer,
    cast.signers.map(({ address }) => address),
  )
  const args = [terms.payee, cast.usdc, terms.deposit, terms.salt, terms.named] as const
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'open', args })
  return { verb: 'open', actor, target: cast.place.escrow, data, gas, verdict: opened(cast, terms) }
}

function signDeposit(cast: Cast, { sign, address }: Signer, valueMicros: bigint, nonce: Hex) {
  const { usdc: token, usdcDomain, place } = cast
  const domain = {
    token,
    tokenName: usdcDomain.name,
    tokenVersion: usdcDomain.version,
    chainId: place.chainId,
  }
  const money = { valueMicros: micros(valueMicros), validAfter: 0, validBefore: farAway, nonce }
  return sign(depositDigest({ ...domain, from: address, escrow: place.escrow, ...money }))
}

/** `openWithAuthorization`; now and then by a relayer that wants another payee. */
export function openWithAuthorization(cast: Cast, as?: number): Step {
  const { chance, place, usdc } = cast
  const payer = chance.pick(cast.signers)
  const terms = someTerms(cast, payer.address, [nobody, ...cast.signers.map(({ address }) => address)])
  const signed = { ...place, token: usdc, salt: terms.salt, authorizedSigner: terms.named }
  const nonce = openNonce({ ...signed, payer: payer.address, payee: terms.payee })
  const signature = signDeposit(cast, payer, terms.deposit, nonce)
  const payee = chance.oneIn(12) ? someone(cast) : terms.payee
  const channel = [payee, usdc, terms.deposit, terms.salt, terms.named, payer.address] as const
  const args = [...channel, 0n, BigInt(farAway), nonce, signature] as const
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'openWithAuthorization', args })
  const verdict = payee === terms.payee ? opened(cast, terms) : 'NonceMismatch'
  const actor = as ?? chance.below(cast.actors.length)
  return { verb: 'openWithAuthorization', actor, target: place.escrow, data, gas, verdict }
}

function toppedUp(cast: Cast, channel: GhostChannel, from: Address, additional: bigint): Verdict {
  if (additional === 0n) return 'ZeroDeposit'
  if (!takeIn(cast.ghost, from, additional)) return 'TokenRefused'
  channel.deposit += additional
  return null
}

/** `topUp`, mostly by the payer. */
export function topUp(cast: Cast, as?: number): Step {
  const channel = someChannel(cast)
  const actor = as ?? actorOf(cast, channel.payer)
  const additional = someDeposit(cast)
  const args = [channel.id, additional] as const
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'topUp', args })
  const verdict = (): Verdict => {
    const dead = refusalOfDead(cast.ghost.channels.get(channel.id))
    if (dead !== null) return dead
    if (cast.actors[actor] !== channel.payer) return 'NotPayer'
    const refusal = toppedUp(cast, channel, channel.payer, additional)
    if (refusal === null) channel.requestedAt = 0n
    return refusal
  }
  return { verb: 'topUp', actor, target: cast.place.escrow, data, gas, verdict: verdict() }
}

/** `topUpWithAuthorization` by anyone who gives; now and then redirected to another channel. */
export function topUpWithAuthorization(cast: Cast, as?: number): Step {
  const { chance, place } = cast
  const [channel, meant] = [someChannel(cast), someChannel(cast)]
  const giver = chance.pick(cast.signers)
  const [additional, salt] = [someDeposit(cast), chance.salt()]
  const signedFor = chance.oneIn(10) ? meant : channel
  const nonce = topUpNonce(signedFor.id, micros(additional), giver.address, salt)
  const signature = signDeposit(cast, giver, additional, nonce)
  const window = [0n, BigInt(farAway)] as const
  const args = [channel.id, additional, giver.address, salt, ...window, nonce, signature] as const
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'topUpWithAuthorization', args })
  const verdict = (): Verdict => {
    const dead = refusalOfDead(cast.ghost.channels.get(channel.id))
    if (dead !== null) return dead
    if (channel.requestedAt !== 0n) return 'ClosePending'
    if (signedFor.id !== channel.id) return 'NonceMismatch'
    return toppedUp(cast, channel, giver.address, additional)
  }
  const actor = as ?? chance.below(cast.actors.length)
  return { verb: 'topUpWithAuthorization', actor, target: place.escrow, data, gas, verdict: verdict() }
}
