import { type EnrolmentView, OrienError } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Executor } from '../db/executor.ts'
import { type EnrolmentRow, selectEnrolment } from './store.ts'
import { viewEnrolment } from './view.ts'

/** @throws OrienError `not_found`: unknown and too old are the same to who asks */
export async function requireEnrolment(db: Executor, code: string): Promise<EnrolmentRow> {
  const row = await selectEnrolment(db, code)
  if (row) return row
  throw new OrienError('not_found', 'This code is unknown, or older than a quarter of an hour')
}

/** @throws OrienError `not_found` */
export async function getEnrolment(ctx: Context, code: string): Promise<EnrolmentView> {
  return viewEnrolment(await requireEnrolment(ctx.db.read, code))
}
