import { base64url } from '@orien/protocol/bytes'

/** Random bytes, fit for keys and salts. */
export function drawBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}

/** A part of a duration, drawn anew each time: agents that lost one coordinator must not come back in step. */
export function jitterMs(mostMs: number): number {
  return Math.random() * mostMs
}

/** A key for a request that nobody will repeat by itself. `randomUUID` is missing on pages without TLS. */
export function randomKey(): string {
  return base64url(drawBytes(18))
}
