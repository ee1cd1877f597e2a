import type { Amount, Cap } from './operations.ts'
import type { Place } from './world.ts'

/** The cap of a call, at a price. */
export function capOf(cap: Cap, rate: bigint): bigint | undefined {
  const smallest = (rate * 100n + 59_999n) / 60_000n
  switch (cap) {
    case 'none':
      return undefined
    case 'one':
      return 1n
    case 'tooSmall':
      return smallest - 1n
    case 'smallest':
      return smallest
    case 'half':
      return (rate * 500n) / 60_000n + 1n
    case 'endless':
      return (1n << 63n) - 1n
  }
}

/** The amount of a voucher, in a session as it is. */
export function amountOf(amount: Amount, { model }: Place, neededMicros: bigint): bigint | undefined {
  const clamp = (value: bigint) => (value < 0n ? 0n : value)
  switch (amount) {
    case 'none':
      return undefined
    case 'lower':
      return clamp(model.authorisedMicros - 1n)
    case 'equal':
      return model.authorisedMicros
    case 'needed':
      return neededMicros > model.budgetMicros ? model.budgetMicros : neededMicros
    case 'short':
      return clamp(neededMicros - 1n)
    case 'whole':
      return model.budgetMicros
    case 'over':
      return model.budgetMicros === (1n << 63n) - 1n ? model.budgetMicros : model.budgetMicros + 1n
  }
}
