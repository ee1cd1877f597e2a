import { setTimeout as pause } from 'node:timers/promises'
import {
  actOnEnrolment,
  type EnrolmentView,
  enrolmentCode,
  fingerprintOf,
  getEnrolment,
  OrienError,
} from '@orien/protocol'
import type { Owner } from '@orien/provider-node'
import type { Orien } from '@orien/sdk'
import type { Shell } from '../commands/bind.ts'
import { wrongUse } from '../terminal/wrongUse.ts'

const LOOK_EVERY_MS = 1_000

/**
 * Waits until the other side has done its part.
 *
 * @throws OrienError `timed_out` when the code has become too old
 */
export async function awaitEnrolment(
  orien: Orien,
  code: string,
  isReady: (view: EnrolmentView) => boolean,
): Promise<EnrolmentView> {
  for (;;) {
    const view = await orien.call(getEnrolment, { params: { code } }).catch((cause: unknown) => {
      if (!(cause instanceof OrienError) || cause.code !== 'not_found') throw cause
      throw new OrienError('timed_out', 'The code has become too old', { hint: 'Make a new one.' }, { cause })
    })
    if (isReady(view)) return view
    await pause(LOOK_EVERY_MS)
  }
}

/** Codes are typed by people. */
export function readCode(text: string): string {
  const letters = text.toUpperCase().replaceAll(/[\s-]/g, '')
  const code = `${letters.slice(0, 4)}-${letters.slice(4)}`
  if (enrolmentCode.safeParse(code).success) return code
  throw wrongUse('--code is not a code', 'It looks like 7KQM-2XPD, and comes from `orien provider enrol`.')
}

/**
 * The owner who made a code: his wallet is somewhere else, and signs there.
 *
 * @throws OrienError `not_found`, `registration_conflict`
 */
export async function ownerByCode({ terminal }: Shell, orien: Orien, code: string): Promise<Owner> {
  const { payout, status } = await orien.call(getEnrolment, { params: { code } })
  if (status !== 'open')
    throw new OrienError('registration_conflict', 'Another machine has used this code', {
      hint: 'Make a new one with `orien provider enrol`.',
    })
  return {
    payout,
    sign: async ({ registration, operatorTerms, rateMicrosPerMinute }) => {
      const draft = {
        registration,
        operatorNonce: operatorTerms.nonce.toString(),
        operatorDeadline: operatorTerms.deadline,
        rateMicrosPerMinute,
      }
      await orien.call(actOnEnrolment, { params: { code }, body: { action: 'draft', draft } })
      terminal.say(`fingerprint ${fingerprintOf(registration)}`)
      terminal.say('Compare it where the code was made, and confirm there. Waiting …')
      const view = await awaitEnrolment(orien, code, ({ signatures }) => signatures !== undefined)
      if (view.signatures) return view.signatures
      throw new OrienError('unreadable', 'The coordinator says signed and gives no signatures')
    },
  }
}
