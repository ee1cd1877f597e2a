import { and, eq, gt, isNull, lt, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { enrolments } from '../db/schema.ts'

export type EnrolmentRow = typeof enrolments.$inferSelect

const isCurrent = (code: string) => and(eq(enrolments.code, code), gt(enrolments.expiresAt, sql`now()`))

/** @returns undefined when the code is taken */
export async function insertEnrolment(
  tx: Executor,
  values: typeof enrolments.$inferInsert,
): Promise<EnrolmentRow | undefined> {
  const [row] = await tx.insert(enrolments).values(values).onConflictDoNothing().returning()
  return row
}

export async function selectEnrolment(db: Executor, code: string): Promise<EnrolmentRow | undefined> {
  const [row] = await db.select().from(enrolments).where(isCurrent(code))
  return row
}

/** The first machine wins: whoever comes later changes nothing. */
export async function setDraft(tx: Executor, code: string, draft: unknown): Promise<void> {
  await tx
    .update(enrolments)
    .set({ draft })
    .where(and(isCurrent(code), isNull(enrolments.draft)))
}

export async function setSignatures(tx: Executor, code: string, signatures: unknown): Promise<void> {
  await tx.update(enrolments).set({ signatures }).where(isCurrent(code))
}

export async function deleteExpiredEnrolments(db: Executor): Promise<void> {
  await db.delete(enrolments).where(lt(enrolments.expiresAt, sql`now()`))
}
