import {
  base64url,
  type createKey as createOperation,
  type Id,
  type listKeys as listOperation,
  micros,
  type OperationInput,
  type OperationOutput,
  OrienError,
  type revokeKey as revokeOperation,
  sha256Hex,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { cutPage } from '../page.ts'
import { type CredentialRow, insertCredential, revokeCredential, selectKeys } from './store.ts'

function viewKey(row: CredentialRow): OperationOutput<typeof listOperation>['items'][number] {
  return {
    id: row.id as Id<'key'>,
    name: row.name,
    scopes: row.scopes as ('read' | 'spend')[],
    spendCapMicros: micros(row.spendCapMicros ?? 0n),
    spentMicros: micros(row.spentMicros),
    createdAt: row.createdAt.toISOString(),
    ...(row.expiresAt ? { expiresAt: row.expiresAt.toISOString() } : {}),
  }
}

/** A key may not make or revoke keys: a leaked one could otherwise outlive its revocation. */
function requireWallet(caller: Caller): void {
  if (caller.kind !== 'token') throw new OrienError('forbidden', 'Sign in with the wallet to manage keys')
}

/** Makes a key. Its secret is in this answer and nowhere else. */
export async function createKey(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  body: OperationInput<typeof createOperation>['body'],
): Promise<OperationOutput<typeof createOperation>> {
  requireWallet(caller)
  const secret = `orien_key_${base64url(ctx.random.bytes(32))}`
  const row = await insertCredential(unit.tx, {
    id: ctx.random.id('key'),
    kind: 'key',
    secretHash: sha256Hex(secret),
    agentId: caller.agentId,
    name: body.name,
    scopes: [...new Set(body.scopes)],
    spendCapMicros: body.spendCapMicros,
    expiresAt: body.expiresAt ? new Date(body.expiresAt) : null,
  })
  return { ...viewKey(row), secret }
}

export async function listKeys(
  ctx: Context,
  caller: Caller,
  query: OperationInput<typeof listOperation>['query'],
): Promise<OperationOutput<typeof listOperation>> {
  const rows = await selectKeys(ctx.db.read, { ...query, agentId: caller.agentId, limit: query.limit + 1 })
  const { shown, next } = cutPage(rows, query.limit, (row) => row.id)
  return { items: shown.map(viewKey), ...next }
}

/** @throws OrienError `not_found`, `forbidden` */
export async function revokeKey(
  ctx: Context,
  caller: Caller,
  id: Id<'key'>,
): Promise<OperationOutput<typeof revokeOperation>> {
  requireWallet(caller)
  const revokedAt = await ctx.db.write(({ tx }) => revokeCredential(tx, caller.agentId, id))
  if (!revokedAt) throw new OrienError('not_found', 'There is no such key')
  return { id, revokedAt: revokedAt.toISOString() }
}
