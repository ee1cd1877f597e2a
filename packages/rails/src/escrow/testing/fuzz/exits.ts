import { orienEscrowAbi } from '@orien/contracts'
import { requestCloseDigest, setOperatorDigest } from '@orien/protocol'
import { encodeFunctionData, parseAbi } from 'viem'
import { actorOf, type Cast, keyOf, type Step, someChannel, someone } from './cast.ts'
import { payCredit, push, refusalOfDead, spendNonce, type Verdict } from './ghost.ts'

const gas = 120_000n

/** `requestClose` by payer, session key or a stranger. */
export function requestClose(cast: Cast, as?: number): Step {
  const channel = someChannel(cast)
  const actor = as ?? actorOf(cast, channel.payer)
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'requestClose', args: [channel.id] })
  const verdict = (): Verdict => {
    const dead = refusalOfDead(cast.ghost.channels.get(channel.id))
    if (dead !== null) return dead
    const caller = cast.actors[actor]
    if (caller !== channel.payer && caller !== channel.named) return 'NotPayer'
    if (channel.requestedAt !== 0n) return 'ClosePending'
    channel.requestedAt = cast.ghost.now
    return null
  }
  return { verb: 'requestClose', actor, target: cast.place.escrow, data, gas, verdict: verdict() }
}

/** The same by signature. */
export function requestCloseWithAuthorization(cast: Cast, as?: number): Step {
  const { chance, ghost, place } = cast
  const channel = someChannel(cast)
  const signer = keyOf(cast, chance.oneIn(2) ? channel.payer : channel.named)
  const nonce = chance.upTo(20n)
  const deadline = chance.oneIn(20) ? ghost.now - 1n : ghost.now + 100n
  const hash = requestCloseDigest(place, channel.id, nonce, Number(deadline))
  const args = [channel.id, nonce, deadline, signer.sign(hash)] as const
  const data = encodeFunctionData({
    abi: orienEscrowAbi,
    functionName: 'requestCloseWithAuthorization',
    args,
  })
  const verdict = (): Verdict => {
    const dead = refusalOfDead(ghost.channels.get(channel.id))
    if (dead !== null) return dead
    if (signer.address !== channel.payer && signer.address !== channel.named) return 'InvalidSignature'
    const key = `${signer.address} ${channel.id} ${nonce}`
    const spent = spendNonce(ghost, key, deadline, false)
    if (spent !== null) return spent
    if (channel.requestedAt !== 0n) return 'ClosePending'
    ghost.nonces.add(key)
    channel.requestedAt = ghost.now
    return null
  }
  const actor = as ?? chance.below(cast.actors.length)
  return { verb: 'requestCloseWithAuthorization', actor, target: place.escrow, data, gas, verdict: verdict() }
}

/** `withdraw` by anyone; mostly of a channel whose close is pending. */
export function withdraw(cast: Cast, as?: number): Step {
  const { chance, ghost, ids } = cast
  const pending = ids
    .slice(-60)
    .map((id) => ghost.channels.get(id))
    .filter((each) => each?.requestedAt)
  const channel = (pending.length > 0 && !chance.oneIn(4) ? chance.pick(pending) : null) ?? someChannel(cast)
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'withdraw', args: [channel.id] })
  const verdict = (): Verdict => {
    const dead = refusalOfDead(ghost.channels.get(channel.id))
    if (dead !== null) return dead
    if (channel.requestedAt === 0n || ghost.now < channel.requestedAt + ghost.graceSeconds)
      return 'CloseNotReady'
    channel.finalized = true
    push(ghost, channel.payer, channel.deposit - channel.settled)
    return null
  }
  const actor = as ?? chance.below(cast.actors.length)
  return { verb: 'withdraw', actor, target: cast.place.escrow, data, gas: 320_000n, verdict: verdict() }
}

function allow({ ghost }: Cast, owner: string, operator: string, allowed: boolean): void {
  if (allowed) ghost.operators.add(`${owner} ${operator}`)
  else ghost.operators.delete(`${owner} ${operator}`)
}

/** `setOperator`, or its relayed form. */
export function setOperator(cast: Cast, as?: number): Step {
  const { chance, ghost, place } = cast
  const actor = as ?? chance.below(cast.actors.length)
  const [operator, allowed] = [someone(cast), !chance.oneIn(3)]
  const target = place.escrow
  if (chance.oneIn(2)) {
    const data = encodeFunctionData({
      abi: orienEscrowAbi,
      functionName: 'setOperator',
      args: [operator, allowed],
    })
    allow(cast, cast.actors[actor] ?? '', operator, allowed)
    return { verb: 'setOperator', actor, target, data, gas, verdict: null }
  }
  const [owner, nonce] = [chance.pick(cast.signers), chance.upTo(30_000n)]
  const signer = keyOf(cast, owner.address)
  const deadline = chance.oneIn(20) ? ghost.now - 1n : ghost.now + 100n
  const terms = { owner: owner.address, operator, allowed, nonce, deadline: Number(deadline) }
  const signature = signer.sign(setOperatorDigest(place, terms))
  const args = [owner.address, operator, allowed, nonce, deadline, signature] as const
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'setOperatorWithAuthorization', args })
  const key = `${owner.address} operators ${nonce}`
  const spent = spendNonce(ghost, key, deadline, false)
  const verdict = spent ?? (signer.address === owner.address ? null : 'InvalidSignature')
  if (verdict === null) {
    ghost.nonces.add(key)
    allow(cast, owner.address, operator, allowed)
  }
  return { verb: 'setOperatorWithAuthorization', actor, target, data, gas, verdict }
}

/** `withdrawCredit` of one's own, or `deliverCredit` of anyone's. */
export function takeCredit(cast: Cast, as?: number): Step {
  const { chance, ghost, place } = cast
  const owed = [...ghost.credits.keys()]
  const actor = as ?? actorOf(cast, owed.length > 0 ? chance.pick(owed) : someone(cast), 6)
  const caller = cast.actors[actor] ?? '0x'
  const target = place.escrow
  if (chance.oneIn(2)) {
    const to = someone(cast)
    const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'withdrawCredit', args: [to] })
    return { verb: 'withdrawCredit', actor, target, data, gas, verdict: payCredit(ghost, caller, to) }
  }
  const account = owed.length > 0 && !chance.oneIn(5) ? chance.pick(owed) : someone(cast)
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'deliverCredit', args: [account] })
  return { verb: 'deliverCredit', actor, target, data, gas, verdict: payCredit(ghost, account, account) }
}

const duties = parseAbi([
  'function blacklist(address)',
  'function unBlacklist(address)',
  'function pause()',
  'function unpause()',
])

/** What the token's owner does: blocks people, rarely the escrow itself, and pauses for a while. */
export function tokenDuty(cast: Cast): Step {
  const { chance, ghost, usdc: target } = cast
  const actor = cast.actors.length - 1
  const step = { actor, target, gas, verdict: null }
  if (ghost.paused || chance.oneIn(8)) {
    ghost.paused = !ghost.paused
    const verb = ghost.paused ? 'pause' : 'unpause'
    return { ...step, verb, data: encodeFunctionData({ abi: duties, functionName: verb }) }
  }
  const blocked = [...ghost.blocked]
  const frees = blocked.length > 2 || (blocked.length > 0 && chance.oneIn(2))
  const account = frees
    ? chance.pick(blocked)
    : chance.oneIn(15)
      ? ghost.escrow
      : chance.pick([
          ...cast.actors.slice(0, -1),
          ...cast.signers.map(({ address }) => address),
          ghost.platform,
        ])
  const verb = frees ? 'unBlacklist' : 'blacklist'
  if (frees) ghost.blocked.delete(account)
  else ghost.blocked.add(account)
  return { ...step, verb, data: encodeFunctionData({ abi: duties, functionName: verb, args: [account] }) }
}
