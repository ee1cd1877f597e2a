import type { PublishedTool, Registration, SignedRegistration } from '@orien/protocol'
import { and, asc, eq, gt, ilike, inArray, isNull, lte, or, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { providers, sessions } from '../db/schema.ts'

export type ProviderRow = typeof providers.$inferSelect

export async function selectProvider(db: Executor, id: string): Promise<ProviderRow | undefined> {
  const [row] = await db.select().from(providers).where(eq(providers.id, id))
  return row
}

export async function lockProvider(tx: Executor, id: string): Promise<ProviderRow | undefined> {
  const [row] = await tx.select().from(providers).where(eq(providers.id, id)).for('update')
  return row
}

export async function upsertProvider(
  tx: Executor,
  values: {
    registration: Registration
    signed: SignedRegistration
    rateMicrosPerMinute: bigint
    tools: readonly PublishedTool[]
    isOperatorAuthorised: boolean
  },
): Promise<ProviderRow> {
  const { registration, signed, isOperatorAuthorised } = values
  const changing = {
    name: registration.name,
    operator: registration.operator,
    nodeKey: registration.nodeKey,
    rateMicrosPerMinute: values.rateMicrosPerMinute,
    tools: values.tools,
    registration: signed,
    registrationIssuedAt: BigInt(registration.issuedAt),
    isOperatorAuthorised,
    deletedAt: null,
  }
  const [row] = await tx
    .insert(providers)
    .values({ id: registration.providerId, payout: registration.payout, isolation: 'none', ...changing })
    .onConflictDoUpdate({ target: providers.id, set: changing })
    .returning()
  return row as ProviderRow
}

export async function updateProvider(
  tx: Executor,
  id: string,
  values: Partial<typeof providers.$inferInsert>,
): Promise<ProviderRow | undefined> {
  const [row] = await tx.update(providers).set(values).where(eq(providers.id, id)).returning()
  return row
}

export type ProviderFilter = {
  limit: number
  cursor?: string | undefined
  tool?: string | undefined
  maxRateMicros?: bigint | undefined
  isolation?: string | undefined
  q?: string | undefined
  /** Restrict to, or leave out, these ids. */
  only?: readonly string[] | undefined
  except?: readonly string[] | undefined
}

/** `%` and `_` of a person's search are plain characters. */
const literalPattern = (text: string) => `%${text.replaceAll(/[\\%_]/g, (char) => `\\${char}`)}%`

export async function selectProviders(db: Executor, filter: ProviderFilter): Promise<ProviderRow[]> {
  const { tool, maxRateMicros, isolation, q, cursor } = filter
  if (filter.only?.length === 0) return []
  return db
    .select()
    .from(providers)
    .where(
      and(
        isNull(providers.deletedAt),
        cursor ? gt(providers.id, cursor) : undefined,
        tool ? sql`${providers.tools} @> ${JSON.stringify([{ id: tool }])}::jsonb` : undefined,
        maxRateMicros === undefined ? undefined : lte(providers.rateMicrosPerMinute, maxRateMicros),
        isolation ? eq(providers.isolation, isolation) : undefined,
        q
          ? or(
              ilike(providers.name, literalPattern(q)),
              sql`${providers.tools}::text ilike ${literalPattern(q)}`,
            )
          : undefined,
        filter.only ? inArray(providers.id, [...filter.only]) : undefined,
        filter.except?.length ? sql`${providers.id} <> all(${sql.param([...filter.except])})` : undefined,
      ),
    )
    .orderBy(asc(providers.id))
    .limit(filter.limit)
}

/** Sessions of a provider that an agent may send work to. Those that were never started bind nobody. */
export async function countActiveSessions(db: Executor, providerId: string): Promise<number> {
  const [row] = await db
    .select({ active: sql<number>`count(*)::int` })
    .from(sessions)
    .where(and(eq(sessions.providerId, providerId), eq(sessions.status, 'active')))
  return row?.active ?? 0
}
