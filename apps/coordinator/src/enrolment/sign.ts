import {
  type EnrolmentView,
  enrolmentDraft,
  OrienError,
  type OwnerSignatures,
  registrationDigest,
  setOperatorDigest,
} from '@orien/protocol'
import type { Context } from '../context.ts'
import { recoverSigner } from '../signatures.ts'
import { requireEnrolment } from './read.ts'
import { setSignatures } from './store.ts'
import { viewEnrolment } from './view.ts'

/**
 * Takes the owner's signatures, which the machine comes for. They are their own authority: nobody has to be signed in.
 *
 * @throws OrienError `not_found`; `illegal_transition` before a machine has asked; `signature_invalid`
 */
export async function signEnrolment(
  ctx: Context,
  code: string,
  signatures: OwnerSignatures,
): Promise<EnrolmentView> {
  return ctx.db.write(async ({ tx }) => {
    const row = await requireEnrolment(tx, code)
    if (!row.draft) throw new OrienError('illegal_transition', 'No machine has used this code yet')
    const { registration, operatorNonce, operatorDeadline } = enrolmentDraft.decode(row.draft as never)
    const terms = {
      owner: registration.payout,
      operator: registration.operator,
      allowed: true,
      nonce: BigInt(operatorNonce),
      deadline: operatorDeadline,
    }
    const isSigned =
      recoverSigner(registrationDigest(registration), signatures.registration) === row.payout &&
      recoverSigner(setOperatorDigest(ctx.chain, terms), signatures.operator) === row.payout
    if (!isSigned) throw new OrienError('signature_invalid', 'These are not the signatures of the owner')
    await setSignatures(tx, code, signatures)
    return viewEnrolment({ ...row, signatures })
  })
}
