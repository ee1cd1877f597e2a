/** Numbers in [0, 1) that follow from a seed: a history that failed can be played again. Mulberry32. */
export type Chance = {
  fraction: () => number
  below: (count: number) => number
  pick: <T>(from: readonly T[]) => T
}

export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (count: number) => Math.floor(fraction() * count)
  return { fraction, below, pick: (from) => from[below(from.length)] as (typeof from)[number] }
}
