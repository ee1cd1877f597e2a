import {
  type ChannelTerms,
  channelId,
  type Hex,
  OrienError,
  type SessionView,
  type UsdcMicros,
  type Voucher,
  voucherDigest,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { appendEvent } from '../events/append.ts'
import { recoverSigner } from '../signatures.ts'
import { lockedSessionRow } from './read.ts'
import { updateSession } from './store.ts'
import { channelOf, viewSession } from './view.ts'

/**
 * Checks a voucher without touching the session: form, signer, channel, contract, chain and ceiling.
 *
 * @throws OrienError `voucher_invalid`
 */
export function checkVoucher(
  terms: ChannelTerms,
  voucher: Voucher,
  depositMicros: UsdcMicros | bigint,
): void {
  if (voucher.cumulativeMicros > depositMicros) {
    throw new OrienError('voucher_invalid', 'The voucher is above the deposit', {
      depositMicros: depositMicros.toString(),
    })
  }
  checkSigner(terms, channelId(terms), voucher)
}

/**
 * Checks a voucher's signature alone.
 *
 * @param id of the channel, which follows from the terms
 * @throws OrienError `voucher_invalid`
 */
export function checkSigner(terms: ChannelTerms, id: Hex, voucher: Voucher): void {
  const digest = voucherDigest(terms, id, voucher.cumulativeMicros)
  if (recoverSigner(digest, voucher.signature) !== terms.authorizedSigner) {
    throw new OrienError(
      'voucher_invalid',
      'The voucher is not signed by the session key for this channel, contract and chain',
    )
  }
}

/**
 * Hands in a voucher ahead of work. A lower one than is known changes nothing.
 *
 * @throws OrienError `session_not_active`, `voucher_invalid`
 */
export async function acceptVoucher(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  id: string,
  voucher: Voucher,
): Promise<SessionView> {
  const row = await lockedSessionRow(unit.tx, caller, id)
  const terms = channelOf(row, ctx.chain)
  if (row.status !== 'active' || !terms)
    throw new OrienError('session_not_active', `The session is ${row.status}`)
  checkVoucher(terms, voucher, row.budgetMicros)
  if (voucher.cumulativeMicros <= row.authorisedMicros) return viewSession(row, ctx.chain)
  const updated = await updateSession(unit.tx, id, {
    authorisedMicros: voucher.cumulativeMicros,
    voucherSignature: voucher.signature,
  })
  const data = { authorisedMicros: voucher.cumulativeMicros.toString() }
  await appendEvent(ctx.bus, unit, id, { type: 'voucher.accepted', data })
  return viewSession(updated, ctx.chain)
}
