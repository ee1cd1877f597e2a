import { fromHex, type Hex, keccak, utf8 } from './bytes.ts'
import { invariant } from './invariant.ts'

/**
 * The few static types that ORIEN's typed data needs, each one 32-byte word.
 * https://eips.ethereum.org/EIPS/eip-712, https://docs.soliditylang.org/en/latest/abi-spec.html
 */
export type Word =
  | { kind: 'address' | 'bytes32'; value: Hex }
  | { kind: 'uint'; value: bigint }
  | { kind: 'bool'; value: boolean }

/** An address as a word. */
export const addressWord = (value: Hex): Word => ({ kind: 'address', value })
/** A bytes32 as a word. */
export const bytes32Word = (value: Hex): Word => ({ kind: 'bytes32', value })
/** An unsigned integer as a word. */
export const uintWord = (value: bigint): Word => ({ kind: 'uint', value })
/** A bool as a word. */
export const boolWord = (value: boolean): Word => ({ kind: 'bool', value })
/** A dynamic string as EIP-712 encodes it: its Keccak-256. */
export const stringWord = (value: string): Word => ({ kind: 'bytes32', value: keccak(utf8(value)) })

/** Results kept of the few domains and types there are: five of the eight hashes of a voucher never change. */
const MAX_KEPT = 64

/** Remembers what a pure function gave, up to {@link MAX_KEPT} results. */
function remember<T>(make: (key: string) => T): (key: string) => T {
  const kept = new Map<string, T>()
  return (key) => {
    const known = kept.get(key)
    if (known !== undefined) return known
    const made = make(key)
    if (kept.size < MAX_KEPT) kept.set(key, made)
    return made
  }
}

const typeWord = remember(stringWord)

function hexOf(word: Word): string {
  switch (word.kind) {
    case 'address':
    case 'bytes32':
      return word.value.slice(2)
    case 'uint':
      invariant(word.value >= 0n && word.value < 1n << 256n, 'a uint fits 256 bits')
      return word.value.toString(16)
    case 'bool':
      return word.value ? '1' : '0'
  }
}

/** `abi.encode` of static words. */
export function encodeWords(words: readonly Word[]): Uint8Array {
  return fromHex(`0x${words.map((word) => hexOf(word).padStart(64, '0')).join('')}`)
}

/** Keccak-256 of `abi.encode(…)`. */
export function hashWords(words: readonly Word[]): Hex {
  return keccak(encodeWords(words))
}

/** What a signature is bound to. */
export type TypedDomain = { name: string; version: string; chainId: number; verifyingContract?: Hex }

/** The EIP-712 domain separator. */
export function domainSeparator({ name, version, chainId, verifyingContract }: TypedDomain): Hex {
  return separatorOf(JSON.stringify([name, version, chainId, verifyingContract]))
}

const separatorOf = remember((key) => {
  const [name, version, chainId, contract] = JSON.parse(key) as [string, string, number, Hex | null]
  return hashDomain({ name, version, chainId, ...(contract ? { verifyingContract: contract } : {}) })
})

function hashDomain(domain: TypedDomain): Hex {
  const contract = domain.verifyingContract
  const type = `EIP712Domain(string name,string version,uint256 chainId${contract ? ',address verifyingContract' : ''})`
  return hashWords([
    stringWord(type),
    stringWord(domain.name),
    stringWord(domain.version),
    uintWord(BigInt(domain.chainId)),
    ...(contract ? [addressWord(contract)] : []),
  ])
}

/**
 * The 32 bytes that a wallet signs: `keccak256(0x1901 ‖ domainSeparator ‖ hashStruct)`.
 *
 * @param type the struct's EIP-712 type string, e.g. `Voucher(bytes32 channelId,uint128 cumulativeAmount)`
 * @param words its members in order
 */
export function typedDigest(domain: TypedDomain, type: string, words: readonly Word[]): Hex {
  const struct = hashWords([typeWord(type), ...words])
  return keccak(fromHex(`0x1901${domainSeparator(domain).slice(2)}${struct.slice(2)}`))
}
