import { and, desc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { agents, authChallenges, credentials, idempotency } from '../db/schema.ts'

export type CredentialRow = typeof credentials.$inferSelect

export async function insertChallenge(
  tx: Executor,
  values: typeof authChallenges.$inferInsert,
): Promise<void> {
  await tx.insert(authChallenges).values(values)
}

/** A challenge works once: taking it deletes it. */
export async function takeChallenge(tx: Executor, nonce: string): Promise<{ address: string } | undefined> {
  const [row] = await tx
    .delete(authChallenges)
    .where(and(eq(authChallenges.nonce, nonce), gt(authChallenges.expiresAt, sql`now()`)))
    .returning({ address: authChallenges.address })
  return row
}

export async function ensureAgent(tx: Executor, id: string, wallet: string): Promise<string> {
  const [row] = await tx
    .insert(agents)
    .values({ id, wallet })
    .onConflictDoUpdate({ target: agents.wallet, set: { wallet } })
    .returning({ id: agents.id })
  return row?.id ?? id
}

export async function insertCredential(
  tx: Executor,
  values: typeof credentials.$inferInsert,
): Promise<CredentialRow> {
  const [row] = await tx.insert(credentials).values(values).returning()
  return row as CredentialRow
}

export async function selectCredential(db: Executor, secretHash: string) {
  const [row] = await db
    .select({ credential: credentials, wallet: agents.wallet })
    .from(credentials)
    .innerJoin(agents, eq(agents.id, credentials.agentId))
    .where(
      and(
        eq(credentials.secretHash, secretHash),
        isNull(credentials.revokedAt),
        or(isNull(credentials.expiresAt), gt(credentials.expiresAt, sql`now()`)),
      ),
    )
  return row
}

export async function selectKeys(
  db: Executor,
  filter: { agentId: string; limit: number; cursor?: string | undefined },
): Promise<CredentialRow[]> {
  return db
    .select()
    .from(credentials)
    .where(
      and(
        eq(credentials.agentId, filter.agentId),
        eq(credentials.kind, 'key'),
        isNull(credentials.revokedAt),
        filter.cursor ? lt(credentials.id, filter.cursor) : undefined,
      ),
    )
    .orderBy(desc(credentials.id))
    .limit(filter.limit)
}

export async function revokeCredential(tx: Executor, agentId: string, id: string): Promise<Date | null> {
  const [row] = await tx
    .update(credentials)
    .set({ revokedAt: sql`now()` })
    .where(
      and(
        eq(credentials.id, id),
        eq(credentials.agentId, agentId),
        eq(credentials.kind, 'key'),
        isNull(credentials.revokedAt),
      ),
    )
    .returning({ revokedAt: credentials.revokedAt })
  return row?.revokedAt ?? null
}

/** Removes what has expired. */
export async function deleteExpired(db: Executor): Promise<void> {
  await db.delete(authChallenges).where(lt(authChallenges.expiresAt, sql`now()`))
  await db
    .delete(credentials)
    .where(and(eq(credentials.kind, 'token'), lt(credentials.expiresAt, sql`now() - interval '1 day'`)))
  await db.delete(idempotency).where(lt(idempotency.createdAt, sql`now() - interval '7 days'`))
}

export type IdempotencyRow = typeof idempotency.$inferSelect

/**
 * Claims a key for this transaction. Whoever asks for the same one meanwhile waits here until it commits or rolls back.
 *
 * @returns the earlier request when the key was used before
 */
export async function claimKey(
  tx: Executor,
  values: { actor: string; key: string; operation: string; bodyHash: string },
): Promise<IdempotencyRow | null> {
  const inserted = await tx
    .insert(idempotency)
    .values(values)
    .onConflictDoNothing()
    .returning({ key: idempotency.key })
  if (inserted.length === 1) return null
  const [row] = await tx
    .select()
    .from(idempotency)
    .where(and(eq(idempotency.actor, values.actor), eq(idempotency.key, values.key)))
  return row ?? null
}

export async function storeAnswer(tx: Executor, actor: string, key: string, answer: unknown): Promise<void> {
  await tx
    .update(idempotency)
    .set({ answer })
    .where(and(eq(idempotency.actor, actor), eq(idempotency.key, key)))
}
