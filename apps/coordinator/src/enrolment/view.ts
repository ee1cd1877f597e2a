import { type EnrolmentView, enrolmentView } from '@orien/protocol'
import type { EnrolmentRow } from './store.ts'

/** What is stored, as it travels: the columns hold the wire form. */
export function viewEnrolment({ code, payout, draft, signatures, expiresAt }: EnrolmentRow): EnrolmentView {
  return enrolmentView.decode({
    code,
    status: signatures ? 'signed' : draft ? 'drafted' : 'open',
    payout,
    expiresAt: expiresAt.toISOString(),
    ...(draft ? { draft } : {}),
    ...(signatures ? { signatures } : {}),
  } as never)
}
