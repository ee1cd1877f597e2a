import { invariant } from '@orien/protocol'
import { type Hex, toHex } from 'viem'

/** Chance that a seed repeats: a run that found something is run again as it was. */
export type Chance = ReturnType<typeof seededChance>

/** A xorshift generator of 32 bits. https://www.jstatsoft.org/article/view/v008i14 */
export function seededChance(seed: number) {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  const below = (bound: number): number => next() % bound
  const word = (): bigint =>
    Array.from({ length: 8 }).reduce<bigint>((all) => (all << 32n) | BigInt(next()), 0n)
  return {
    below,
    /** True once in so many times. */
    oneIn: (times: number): boolean => below(times) === 0,
    pick: <T>(list: readonly T[]): T => {
      const chosen = list[below(list.length)]
      invariant(chosen !== undefined, 'something to pick from')
      return chosen
    },
    upTo: (bound: bigint): bigint => word() % (bound + 1n),
    salt: (): Hex => toHex(word(), { size: 32 }),
  }
}
