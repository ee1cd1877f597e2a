import type { Address, Hex } from 'viem'
import type { CallError } from '../../simulateCall.ts'

/** A channel as the ghost keeps it. Amounts in micro-USDC, instants in Unix seconds. */
export type GhostChannel = {
  id: Hex
  payer: Address
  payee: Address
  /** Who signs its vouchers: never zero. */
  signer: Address
  /** What was named at the opening: zero for the payer. */
  named: Address
  deposit: bigint
  settled: bigint
  requestedAt: bigint
  finalized: boolean
}

/** null for a call that succeeds, else the error that it reverts with. */
export type Verdict = CallError | null

/**
 * The escrow and its token in a few maps, written from the rules and not from the contract: what it says will happen
 * is what has to happen on the chain.
 */
export type Ghost = ReturnType<typeof newGhost>

/** An empty ledger for an escrow. */
export function newGhost(escrow: Address, platform: Address, reserve: Address) {
  return {
    ...{ escrow, platform, reserve, now: 0n, graceSeconds: 60n, paused: false },
    balances: new Map<Address, bigint>(),
    credits: new Map<Address, bigint>(),
    channels: new Map<Hex, GhostChannel>(),
    blocked: new Set<Address>(),
    /** `owner operator` */
    operators: new Set<string>(),
    /** `account scope nonce` */
    nonces: new Set<string>(),
    /** What channels and credits are owed: the escrow has to hold exactly this. */
    owed: 0n,
  }
}

const add = (map: Map<Address, bigint>, account: Address, micros: bigint) =>
  map.set(account, (map.get(account) ?? 0n) + micros)

/** Whether the token moves anything between these. */
function canMove({ paused, blocked, escrow }: Ghost, ...parties: Address[]): boolean {
  return !paused && !blocked.has(escrow) && parties.every((party) => !blocked.has(party))
}

/** Takes a deposit, if the token lets it. */
export function takeIn(ghost: Ghost, from: Address, micros: bigint): boolean {
  if (!canMove(ghost, from) || (ghost.balances.get(from) ?? 0n) < micros) return false
  add(ghost.balances, from, -micros)
  add(ghost.balances, ghost.escrow, micros)
  ghost.owed += micros
  return true
}

/** Pays, or leaves a credit. */
export function push(ghost: Ghost, to: Address, micros: bigint): void {
  if (micros === 0n) return
  if (!canMove(ghost, to)) {
    add(ghost.credits, to, micros)
    return
  }
  add(ghost.balances, ghost.escrow, -micros)
  add(ghost.balances, to, micros)
  ghost.owed -= micros
}

/** Pays a credit out. */
export function payCredit(ghost: Ghost, account: Address, to: Address): Verdict {
  const micros = ghost.credits.get(account) ?? 0n
  if (micros === 0n) return 'NoCredit'
  if (!canMove(ghost, to)) return 'TokenRefused'
  ghost.credits.delete(account)
  push(ghost, to, micros)
  return null
}

/** Payee and platform rounded down, the rest to the reserve: of the total, then the difference to what was paid. */
function sharesBetween(before: bigint, after: bigint) {
  const payee = (after * 90n) / 100n - (before * 90n) / 100n
  const platform = (after * 7n) / 100n - (before * 7n) / 100n
  return { payee, platform, reserve: after - before - payee - platform }
}

/** Why nothing can be done with a channel any more. */
export function refusalOfDead(channel: GhostChannel | undefined): Verdict {
  if (channel === undefined) return 'ChannelNotFound'
  return channel.finalized ? 'ChannelFinalized' : null
}

/** What a claim shows for itself. */
export type ShownVoucher = { micros: bigint; isGenuine: boolean }

/** Whether a claim may be paid, apart from who makes it. */
export function refusalOfClaim(
  { settled, deposit }: GhostChannel,
  claim: bigint,
  voucher: ShownVoucher,
  closes: boolean,
): Verdict {
  if (closes && claim <= settled) return null
  if (!closes && claim - (claim % 100n) <= settled) return 'AmountNotIncreasing'
  if (claim > voucher.micros) return 'ClaimExceedsVoucher'
  if (claim > deposit) return 'AmountExceedsDeposit'
  return voucher.isGenuine ? null : 'InvalidSignature'
}

/** Records a claim that was not refused; gives what is to be paid. */
export function recordClaim(channel: GhostChannel, claim: bigint, closes: boolean) {
  const before = channel.settled
  const after = claim <= before ? before : closes ? claim : claim - (claim % 100n)
  channel.settled = after
  channel.finalized = closes
  return { ...sharesBetween(before, after), refund: closes ? channel.deposit - after : 0n }
}

/** A claim from check to payment. */
export function claim(
  ghost: Ghost,
  channel: GhostChannel,
  micros: bigint,
  voucher: ShownVoucher,
  closes: boolean,
): Verdict {
  const refusal = refusalOfClaim(channel, micros, voucher, closes)
  if (refusal !== null) return refusal
  const due = recordClaim(channel, micros, closes)
  push(ghost, channel.payee, due.payee)
  push(ghost, ghost.platform, due.platform)
  push(ghost, ghost.reserve, due.reserve)
  push(ghost, channel.payer, due.refund)
  return null
}

/** Spends a nonce, unless it is spent or too late. */
export function spendNonce(ghost: Ghost, key: string, deadline: bigint, keep = true): Verdict {
  if (ghost.now > deadline) return 'AuthorizationExpired'
  if (ghost.nonces.has(key)) return 'NonceAlreadyUsed'
  if (keep) ghost.nonces.add(key)
  return null
}

/** Everything owed, counted anew. */
export function countOwed({ channels, credits }: Ghost): bigint {
  let sum = 0n
  for (const { deposit, settled, finalized } of channels.values()) sum += finalized ? 0n : deposit - settled
  for (const micros of credits.values()) sum += micros
  return sum
}
