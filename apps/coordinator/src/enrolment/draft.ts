import {
  canonicalJson,
  deriveProviderId,
  type EnrolmentDraft,
  type EnrolmentView,
  enrolmentDraft,
  type Json,
  OrienError,
} from '@orien/protocol'
import { z } from 'zod'
import type { Context } from '../context.ts'
import { requireEnrolment } from './read.ts'
import { setDraft } from './store.ts'
import { viewEnrolment } from './view.ts'

/**
 * Takes what a machine asks its owner to sign. The same again changes nothing.
 *
 * @throws OrienError `not_found`; `registration_conflict` for another payout address, or after another machine
 */
export async function draftEnrolment(
  ctx: Context,
  code: string,
  draft: EnrolmentDraft,
): Promise<EnrolmentView> {
  const { payout, salt, providerId } = draft.registration
  const wire = z.encode(enrolmentDraft, draft)
  return ctx.db.write(async ({ tx }) => {
    const { payout: owner } = await requireEnrolment(tx, code)
    if (payout !== owner || deriveProviderId(payout, salt) !== providerId)
      throw new OrienError('registration_conflict', 'This code belongs to another owner')
    await setDraft(tx, code, wire)
    const row = await requireEnrolment(tx, code)
    if (canonicalJson(row.draft as Json) !== canonicalJson(wire as Json))
      throw new OrienError('registration_conflict', 'Another machine has used this code')
    return viewEnrolment(row)
  })
}
