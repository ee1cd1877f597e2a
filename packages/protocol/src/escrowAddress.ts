import { fromHex, type Hex, keccak } from './bytes.ts'
import { addressWord, encodeWords, uintWord } from './eip712.ts'

/** What an escrow is constructed with; nothing of it can change later. */
export type EscrowConstruction = { token: Hex; platform: Hex; reserve: Hex; closeGraceSeconds: bigint }

/** The CREATE2 factory of most EVM chains. https://github.com/Arachnid/deterministic-deployment-proxy */
export const ESCROW_FACTORY: Hex = '0x4e59b44847b379578588920ca78fbf26c0b4956c'

const SALT = '00'.repeat(32)

/**
 * The address at which the factory deploys code with these terms. It follows from nothing else, so an escrow that stands
 * there is of that code, whoever deployed it; one that only answers alike stands elsewhere.
 * Source: https://eips.ethereum.org/EIPS/eip-1014
 *
 * @param creationCode the contract's, before its constructor arguments
 * @returns in lower case
 */
export function deriveEscrowAddress(creationCode: Hex, terms: EscrowConstruction): Hex {
  const { token, platform, reserve, closeGraceSeconds } = terms
  const addresses = [token, platform, reserve].map((each) => addressWord(each.toLowerCase() as Hex))
  const constructed = encodeWords([...addresses, uintWord(closeGraceSeconds)])
  const code = fromHex(creationCode)
  const whole = new Uint8Array(code.length + constructed.length)
  whole.set(code)
  whole.set(constructed, code.length)
  const placed = keccak(fromHex(`0xff${ESCROW_FACTORY.slice(2)}${SALT}${keccak(whole).slice(2)}`))
  return `0x${placed.slice(-40)}`
}
