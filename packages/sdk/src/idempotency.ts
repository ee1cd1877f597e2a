import { canonicalJson, type Json, sha256Hex } from '@orien/protocol'

/**
 * An idempotency key that follows from what is asked, so that a model which repeats its call after a time-out gets the
 * first answer instead of paying twice. A second run that is wanted has another `turnId`, or another `nth`.
 *
 * @param turnId names the caller's turn: a message id, a job id
 * @param call what is asked; JSON values only
 * @param nth 1 for the first such call in the turn
 */
export function deriveIdempotencyKey(turnId: string, call: Json, nth = 1): string {
  return `turn_${sha256Hex(canonicalJson({ turnId, call, nth }))}`
}
