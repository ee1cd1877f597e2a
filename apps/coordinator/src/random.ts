import { randomBytes } from 'node:crypto'
import { type Hex, type Id, type IdKind, makeId, toHex } from '@orien/protocol'
import type { Clock } from './clock.ts'

/** The only place that asks for random bits. */
export type Random = {
  bytes: (count: number) => Uint8Array
  id: <K extends IdKind>(kind: K) => Id<K>
  word: () => Hex
}

export function systemRandom(clock: Clock): Random {
  const bytes = (count: number) => new Uint8Array(randomBytes(count))
  return {
    bytes,
    id: (kind) => makeId(kind, clock.now().getTime(), bytes(10)),
    word: () => toHex(bytes(32)),
  }
}
