import { orienEscrowBytecode } from '@orien/contracts'
import type { Hex } from 'viem'

/** PUSH32 of zeros: where the compiler leaves room for an immutable value, set by the constructor. */
const ROOM = `7f${'0'.repeat(64)}`
/** Anything shorter is no contract of ours: every string is a part of another one when it is short enough. */
const MIN_CHARS = 2 * 4_096

/**
 * Whether code on a chain is what the escrow's constructor leaves there. The code that runs is a part of the creation
 * code, byte for byte, but for the immutable values.
 *
 * @returns the immutable values in their order, each a word, or null when it is other code
 */
export function compareCode(deployed: Hex, creation: Hex = orienEscrowBytecode): Hex[] | null {
  const code = deployed.slice(2).toLowerCase()
  // It is the last part: the constructor's own code comes before it.
  const start = creation.length - code.length
  if (code.length < MIN_CHARS || start < 2) return null
  const expected = creation.slice(start).toLowerCase()
  const values: Hex[] = []
  let at = 0
  for (let room = expected.indexOf(ROOM); room !== -1; room = expected.indexOf(ROOM, at)) {
    if (expected.slice(at, room + 2) !== code.slice(at, room + 2)) return null
    at = room + ROOM.length
    values.push(`0x${code.slice(room + 2, at)}`)
  }
  return expected.slice(at) === code.slice(at) ? values : null
}
