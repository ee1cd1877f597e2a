import { canonicalJson, type Json, OrienError, sha256Hex } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { claimKey, storeAnswer } from './store.ts'

/**
 * Runs a mutation in its transaction, once for each key: the key, everything the verb writes and the answer are
 * committed together, so a repeated request either finds all of it or nothing.
 *
 * @param run returns the wire answer
 * @throws OrienError `idempotency_conflict` for the same key with another request
 */
export async function once(
  ctx: Pick<Context, 'db'>,
  request: { actor: string; key: string | undefined; operation: string; body: unknown },
  run: (unit: Unit) => Promise<unknown>,
): Promise<unknown> {
  const { actor, key, operation } = request
  if (key === undefined) return ctx.db.write(run)
  const bodyHash = sha256Hex(canonicalJson(request.body as Json))
  return ctx.db.write(async (unit) => {
    const earlier = await claimKey(unit.tx, { actor, key, operation, bodyHash })
    if (earlier) {
      if (earlier.operation === operation && earlier.bodyHash === bodyHash) return earlier.answer
      throw new OrienError('idempotency_conflict')
    }
    const answer = await run(unit)
    await storeAnswer(unit.tx, actor, key, answer)
    return answer
  })
}
