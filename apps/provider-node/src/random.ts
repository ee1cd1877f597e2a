import { randomBytes } from 'node:crypto'

/** The one place that draws chance. */
export type Random = {
  bytes(count: number): Uint8Array
  /** Uniform in [0, 1). */
  fraction(): number
}

export const systemRandom: Random = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
  fraction: () => randomBytes(4).readUInt32BE() / 2 ** 32,
}
