/** Random bytes, fit for keys and salts. */
export function drawBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}

/** A part of a duration, drawn anew each time: agents that lost one coordinator must not come back in step. */
export function jitterMs(mostMs: number): number {
  return Math.random() * mostMs
}
