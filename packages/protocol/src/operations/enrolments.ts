import { z } from 'zod'
import { address, signature } from '../bytes.ts'
import { rateMicrosPerMinute } from '../meter.ts'
import { registration } from '../registration.ts'
import { instant } from '../time.ts'
import { operation } from './operation.ts'

/** What an owner reads off one screen and types into another: no I, L, O or U, in either case. */
export const enrolmentCode = z
  .string()
  .regex(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/, 'must be a code like 7KQM-2XPD')

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/**
 * Makes a code: 40 random bits, for a quarter of an hour and one machine.
 *
 * @param random eight random bytes, five bits of each count
 * @example
 * makeEnrolmentCode(new Uint8Array(8)) // "0000-0000"
 */
export function makeEnrolmentCode(random: Uint8Array): string {
  const letters = Array.from(random.subarray(0, 8), (byte) => ALPHABET.charAt(byte & 31)).join('')
  return `${letters.slice(0, 4)}-${letters.slice(4)}`
}

/** What a machine asks the owner's wallet to sign. */
export const enrolmentDraft = z.strictObject({
  registration,
  /** Of the permission for `registration.operator`, a decimal uint256. */
  operatorNonce: z.string().regex(/^(0|[1-9]\d{0,77})$/, 'must be a decimal uint256'),
  /** Of the same, Unix seconds. */
  operatorDeadline: z.int().positive(),
  /** Shown to the owner, not signed here: each offer says it again. */
  rateMicrosPerMinute,
})
/** See {@link enrolmentDraft}. */
export type EnrolmentDraft = z.output<typeof enrolmentDraft>

/** The owner's two signatures: of the registration, and of the permission for the operator key. */
export const ownerSignatures = z.strictObject({ registration: signature, operator: signature })
/** See {@link ownerSignatures}. */
export type OwnerSignatures = z.output<typeof ownerSignatures>

/** An enrolment as both sides see it. Nothing in it is secret but the code. */
export const enrolmentView = z.strictObject({
  code: enrolmentCode,
  status: z.enum(['open', 'drafted', 'signed']),
  payout: address,
  expiresAt: instant,
  draft: enrolmentDraft.optional(),
  signatures: ownerSignatures.optional(),
})
/** See {@link enrolmentView}. */
export type EnrolmentView = z.output<typeof enrolmentView>

const params = z.strictObject({ code: enrolmentCode })

/** `POST /api/enrolments` */
export const createEnrolment = operation({
  id: 'createEnrolment',
  method: 'POST',
  path: '/api/enrolments',
  tag: 'providers',
  summary: 'A signed-in owner asks for a code, with which one machine can ask for the owner’s signatures',
  actor: 'owner',
  status: 201,
  output: enrolmentView,
})

/** `GET /api/enrolments/:code` */
export const getEnrolment = operation({
  id: 'getEnrolment',
  method: 'GET',
  path: '/api/enrolments/:code',
  tag: 'providers',
  summary: 'How far an enrolment has come; who has the code may ask',
  actor: 'public',
  params,
  output: enrolmentView,
  errors: ['not_found'],
})

/** `POST /api/enrolments/:code` */
export const actOnEnrolment = operation({
  id: 'actOnEnrolment',
  method: 'POST',
  path: '/api/enrolments/:code',
  tag: 'providers',
  summary: 'A machine hands in what is to be signed, then the owner’s wallet its signatures',
  actor: 'signature',
  params,
  body: z.discriminatedUnion('action', [
    z.strictObject({ action: z.literal('draft'), draft: enrolmentDraft }),
    z.strictObject({ action: z.literal('sign'), signatures: ownerSignatures }),
  ]),
  output: enrolmentView,
  errors: ['not_found', 'registration_conflict', 'signature_invalid', 'illegal_transition'],
})
