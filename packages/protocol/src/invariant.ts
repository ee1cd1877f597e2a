/** A broken assumption of our own: the request dies, the process lives. Never thrown for bad input. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation'
}

/**
 * Asserts what the code relies on.
 *
 * @throws InvariantViolation with `message` when `condition` is false
 * @example
 * invariant(costMicros <= holdMicros, 'a capture never exceeds its hold')
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message)
}

/**
 * Makes a `switch` over a union exhaustive: adding a member becomes a compile error here.
 *
 * @throws InvariantViolation when reached at run time with a value outside its type
 */
export function assertNever(value: never): never {
  throw new InvariantViolation(`unexpected value ${JSON.stringify(value)}`)
}
