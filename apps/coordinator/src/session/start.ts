import {
  type ChannelTerms,
  channelId,
  type DepositAuthorization,
  depositDigest,
  type ExitAuthorization,
  type Hex,
  OrienError,
  openNonce,
  requestCloseDigest,
  type SessionAction,
  type SessionView,
  sessionTransition,
  type Voucher,
  ZERO,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { appendEvent } from '../events/append.ts'
import { requireRoom } from '../provider/admission.ts'
import { recoverSigner } from '../signatures.ts'
import { lockedSessionRow } from './read.ts'
import { type SessionRow, updateSession } from './store.ts'
import { channelOf, viewSession } from './view.ts'
import { checkVoucher } from './voucher.ts'

type Start = Extract<SessionAction, { action: 'start' }>

/**
 * Takes the agent's keys and its signed deposit, and makes the session ready for work. Nothing is sent to the chain:
 * the deposit is relayed at the first execute, so opening sessions for fun costs the relayer nothing.
 *
 * @throws OrienError `illegal_transition`, `provider_closed`, `provider_full`, `payer_blocked`, `deposit_refused`, `signature_invalid`, `voucher_invalid`
 */
export async function startSession(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  id: string,
  body: Start,
): Promise<SessionView> {
  const row = await lockedSessionRow(unit.tx, caller, id)
  if (row.status === 'active' && isSameStart(row, body)) return viewSession(row, ctx.chain)
  // Until the deposit is on its way it may be replaced: the first one expires after ten minutes.
  const isReplacing = row.status === 'active' && row.channelStatus === 'none' && hasSameKeys(row, body)
  const next = sessionTransition(isReplacing ? 'pending' : (row.status as SessionView['status']), {
    type: 'started',
  })
  if (!next.ok)
    throw new OrienError('illegal_transition', `A session that is ${row.status} cannot be started`)
  if (!isReplacing) await requireRoom(ctx, unit.tx, { providerId: row.providerId, payer: body.payer })
  const terms = channelOf({ ...row, payer: body.payer, authorizedSigner: body.authorizedSigner }, ctx.chain)
  if (!terms) throw new OrienError('internal_error')
  checkDeposit(ctx, terms, body.deposit, row.budgetMicros)
  checkSessionKey(terms, body.voucher)
  if (body.exit) checkExit(terms, body.exit)
  const started = await updateSession(unit.tx, id, {
    status: next.status,
    payer: body.payer,
    authorizedSigner: body.authorizedSigner,
    channelId: channelId(terms),
    deposit: { ...body.deposit, valueMicros: body.deposit.valueMicros.toString() },
    voucherSignature: body.voucher.signature,
    exit: body.exit ?? null,
    startedAt: ctx.clock.now(),
  })
  if (!isReplacing) {
    await appendEvent(ctx.bus, unit, id, { type: 'session.started', data: { channelId: channelId(terms) } })
  }
  return viewSession(started, ctx.chain)
}

const hasSameKeys = (row: SessionRow, body: Start) =>
  row.authorizedSigner === body.authorizedSigner && row.payer === body.payer

const isSameStart = (row: SessionRow, body: Start) =>
  hasSameKeys(row, body) && (row.deposit as DepositAuthorization).signature === body.deposit.signature

function checkDeposit(
  ctx: Context,
  terms: ChannelTerms,
  deposit: DepositAuthorization,
  budget: bigint,
): void {
  if (deposit.valueMicros !== budget)
    throw new OrienError('deposit_refused', 'The deposit must be the budget of the session')
  if (deposit.nonce !== openNonce(terms))
    throw new OrienError('deposit_refused', 'The nonce must follow from the channel’s parameters')
  const seconds = Math.floor(ctx.clock.now().getTime() / 1_000)
  if (deposit.validAfter > seconds)
    throw new OrienError('deposit_refused', 'The authorisation is not valid yet')
  if (deposit.validBefore <= seconds) throw new OrienError('deposit_refused', 'The authorisation has expired')
  checkDepositSignature(ctx, terms.payer, deposit)
}

/** @throws OrienError `signature_invalid` unless the payer signed exactly this deposit into the escrow */
export function checkDepositSignature(ctx: Context, payer: Hex, deposit: DepositAuthorization): void {
  const { chainId, token, tokenName, tokenVersion, escrow } = ctx.chain
  const digest = depositDigest({ chainId, token, tokenName, tokenVersion, escrow, from: payer, ...deposit })
  if (recoverSigner(digest, deposit.signature) !== payer) {
    throw new OrienError('signature_invalid', 'The deposit is not signed by the payer')
  }
}

/** A voucher over zero shows that the session key is a plain key: a contract's vouchers could be voided after the work. */
function checkSessionKey(terms: ChannelTerms, voucher: Voucher): void {
  if (voucher.cumulativeMicros !== ZERO)
    throw new OrienError('voucher_invalid', 'The first voucher is over zero')
  checkVoucher(terms, voucher, ZERO)
}

/** @throws OrienError `signature_invalid` unless the session key signed the way out of this channel */
function checkExit(terms: ChannelTerms, { nonce, deadline, signature }: ExitAuthorization): void {
  const digest = requestCloseDigest(terms, channelId(terms), BigInt(nonce), deadline)
  if (recoverSigner(digest, signature) !== terms.authorizedSigner)
    throw new OrienError('signature_invalid', 'The exit is not signed by the session key for this channel')
}
