import { orienEscrowAbi } from '@orien/contracts'
import { type Hex as ProtocolHex, voucherDigest } from '@orien/protocol'
import { type Address, type Hex, toFunctionSelector } from 'viem'
import type { Chance } from './chance.ts'
import type { Ghost, GhostChannel, ShownVoucher, Verdict } from './ghost.ts'
import { type Signer, twin } from './quickSigner.ts'

/** Everybody, and where they are. */
export type Cast = {
  chance: Chance
  ghost: Ghost
  /** Contracts that call in their own name; the last one owns the token's duties. */
  actors: readonly Address[]
  signers: readonly Signer[]
  /** Ids of channels, the newest last. */
  ids: Hex[]
  salts: Map<Hex, Hex>
  place: { chainId: number; escrow: ProtocolHex }
  usdc: Address
  usdcDomain: { name: string; version: string }
}

/** One call, and what it has to come to. The ghost is already as it will be afterwards. */
export type Step = {
  verb: string
  actor: number
  target: Address
  data: Hex
  verdict: Verdict
  /** What it returns, when it succeeds and returns something worth comparing. */
  returned?: Hex
  /** The most that it takes. */
  gas: bigint
}

const selectors = new Map(
  orienEscrowAbi.flatMap((item) => {
    if (item.type !== 'error') return []
    const types = item.inputs.map(({ type }) => type).join(',')
    return [[item.name, toFunctionSelector(`function ${item.name}(${types})`)]] as const
  }),
) as ReadonlyMap<string, Hex>

/** The first four bytes of an error: the token's words are Solidity's `Error(string)`. */
export const selectorOf = (error: Exclude<Verdict, null>): Hex => selectors.get(error) ?? '0x08c379a0'

/** A channel: mostly a young one, rarely one that is long closed. */
export function someChannel({ chance, ids, ghost }: Cast): GhostChannel {
  const young = ids.slice(-12)
  if (young.length === 0) return { ...blank, id: chance.salt() }
  const found = ghost.channels.get(chance.oneIn(10) ? chance.pick(ids) : chance.pick(young))
  return found ?? { ...blank, id: chance.salt() }
}

const nobody: Address = `0x${'00'.repeat(20)}`
const blank: Omit<GhostChannel, 'id'> = {
  ...{ payer: nobody, payee: nobody, signer: nobody, named: nobody },
  ...{ deposit: 0n, settled: 0n, requestedAt: 0n, finalized: false },
}

/** Anyone at all. */
export const someone = ({ chance, actors, signers }: Cast): Address =>
  chance.pick([...actors, ...signers.map(({ address }) => address)])

/** The key of an address, or of somebody else where it has none or chance wants an impostor. */
export function keyOf({ chance, signers }: Cast, address: Address, impostorOneIn = 12): Signer {
  const own = signers.find((signer) => signer.address === address)
  return own === undefined || chance.oneIn(impostorOneIn) ? chance.pick(signers) : own
}

/** The actor with this address, or any. */
export function actorOf({ chance, actors }: Cast, address: Address, impostorOneIn = 12): number {
  const own = actors.indexOf(address)
  return own < 0 || chance.oneIn(impostorOneIn) ? chance.below(actors.length - 1) : own
}

/** Who may claim for a payee: itself or one of its operators; as an address to act or sign. */
export function claimantOf({ ghost, chance }: Cast, payee: Address): Address {
  const operators = [...ghost.operators]
    .filter((pair) => pair.startsWith(`${payee} `))
    .map((pair) => pair.slice(43) as Address)
  return chance.pick([payee, ...operators])
}

/** Whether an account may claim for a payee. */
export const mayClaim = ({ ghost }: Cast, payee: Address, account: Address): boolean =>
  account === payee || ghost.operators.has(`${payee} ${account}`)

/** An amount around what matters: nothing, one more, the next hundred, all, one too much. */
export function someMicros({ chance }: Cast, { settled, deposit }: GhostChannel): bigint {
  const left = deposit - settled
  const choices = [settled + 1n, settled + 100n, settled, deposit, deposit + 1n, settled + chance.upTo(left)]
  return chance.pick([...choices, settled + chance.upTo(left), settled + 1n, chance.upTo(deposit)])
}

/** A voucher for a claim; now and then too low, of another key, another chain, or with a high s. */
export function someVoucher(
  cast: Cast,
  channel: GhostChannel,
  claim: bigint,
  exactly: boolean,
): ShownVoucher & { signature: Hex } {
  const { chance, place } = cast
  const micros = exactly ? claim : chance.oneIn(10) ? chance.upTo(claim) : claim + chance.upTo(500n)
  const signer = keyOf(cast, channel.signer, 15)
  const isElsewhere = chance.oneIn(25)
  const where = isElsewhere ? { ...place, chainId: place.chainId + 1 } : place
  const hash = voucherDigest(where, channel.id, micros as Parameters<typeof voucherDigest>[2])
  const signature = signer.sign(hash)
  const isGenuine = signer.address === channel.signer && !isElsewhere
  if (chance.oneIn(25)) return { micros, signature: twin(signature), isGenuine: false }
  return { micros, signature, isGenuine }
}
