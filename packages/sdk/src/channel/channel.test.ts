import {
  batchDigest,
  type ChannelTerms,
  channelId,
  claimDigest,
  type Hex,
  micros,
  requestCloseDigest,
  sessionSalt,
  setOperatorDigest,
  type Voucher,
  voucherDigest,
  ZERO,
} from '@orien/protocol'
import { recoverAddress } from 'viem'
import { describe, expect, it } from 'vitest'
import { addressOfKey, signDigest } from '../keys/secp256k1.ts'
import { CHAIN_ID, ESCROW, lower, TOKEN, walletOf, wordOf } from '../testing/providerStandIn.ts'
import { checkChannel } from './checkChannel.ts'
import { checkVoucher } from './checkVoucher.ts'
import type { ChannelState } from './readChannelState.ts'
import { signClaim, signClaimBatch, signRequestClose, signSetOperator } from './signClaim.ts'

const sessionKey = wordOf('session key')
const terms: ChannelTerms = {
  chainId: CHAIN_ID,
  escrow: ESCROW,
  token: TOKEN,
  payer: lower(walletOf('payer').address),
  payee: lower(walletOf('payee').address),
  salt: sessionSalt('ses_1'),
  authorizedSigner: addressOfKey(sessionKey),
}

function voucherOf(cumulative: bigint, given: ChannelTerms = terms, key: Hex = sessionKey): Voucher {
  const cumulativeMicros = micros(cumulative)
  return {
    cumulativeMicros,
    signature: signDigest(key, voucherDigest(given, channelId(given), cumulativeMicros)),
  }
}

describe('a voucher', () => {
  it('by the session key covers what is at or below its amount', () => {
    expect(checkVoucher(terms, voucherOf(100n), micros(100n))).toEqual({ ok: true })
    expect(checkVoucher(terms, voucherOf(100n), ZERO)).toEqual({ ok: true })
    expect(checkVoucher(terms, voucherOf(100n), micros(101n))).toMatchObject({
      ok: false,
      code: 'voucher_required',
    })
  })

  const invalid = { ok: false, code: 'voucher_invalid' }

  it('by another key is refused, the payer’s own included', () => {
    expect(checkVoucher(terms, voucherOf(100n, terms, wordOf('payer')), ZERO)).toMatchObject(invalid)
  })

  it('for another amount than was signed is refused', () => {
    expect(checkVoucher(terms, { ...voucherOf(100n), cumulativeMicros: micros(101n) }, ZERO)).toMatchObject(
      invalid,
    )
  })

  it.each([
    ['chain', { chainId: 1 }],
    ['contract', { escrow: TOKEN }],
    ['token', { token: ESCROW }],
    ['payer', { payer: terms.payee }],
    ['payee', { payee: terms.payer }],
    ['session', { salt: sessionSalt('ses_2') }],
  ])('of another %s is refused: it cannot be replayed', (_, change) => {
    expect(checkVoucher(terms, voucherOf(100n, { ...terms, ...change }), ZERO)).toMatchObject(invalid)
  })

  it('in another spelling is refused', () => {
    const { signature } = voucherOf(100n)
    const spelled = `${signature.slice(0, 130)}${signature.endsWith('1b') ? '00' : '01'}` as Hex
    expect(checkVoucher(terms, { ...voucherOf(100n), signature: spelled }, ZERO)).toMatchObject(invalid)
  })
})

describe('a channel on the chain', () => {
  const { payer, payee, token, authorizedSigner } = terms
  const state: ChannelState = {
    payer,
    payee,
    token,
    authorizedSigner,
    depositMicros: micros(100n),
    settledMicros: ZERO,
    closeRequestedAt: 0,
    finalized: false,
  }
  const check = (change: Partial<ChannelState>) =>
    checkChannel({ ...state, ...change }, terms, voucherOf(100n))

  it('secures a voucher up to its deposit', () => {
    expect(check({})).toEqual({ ok: true })
    expect(check({ depositMicros: micros(99n) })).toMatchObject({ ok: false, code: 'insufficient_funds' })
  })

  it('that does not exist secures nothing', () => {
    expect(checkChannel(null, terms, voucherOf(0n))).toMatchObject({ ok: false, code: 'voucher_invalid' })
  })

  it.each([
    ['another payer', { payer: payee }],
    ['another payee', { payee: payer }],
    ['another token', { token: ESCROW }],
    ['another signer', { authorizedSigner: payer }],
    ['a pending close', { closeRequestedAt: 1 }],
    ['an end', { finalized: true }],
  ])('with %s secures nothing', (_, change) => {
    expect(check(change)).toMatchObject({ ok: false, code: 'voucher_invalid' })
  })
})

describe('what a node or an agent signs for a relayer', () => {
  const operatorKey = wordOf('operator')

  it('a claim is by the operator, for its kind alone', async () => {
    const claim = { channelId: channelId(terms), claimMicros: micros(5n), nonce: 7n, deadline: 1_764_000_000 }
    for (const kind of ['Claim', 'ClaimAndClose'] as const) {
      const signature = signClaim(operatorKey, terms, kind, claim)
      const signer = await recoverAddress({ hash: claimDigest(terms, kind, claim), signature })
      expect(lower(signer)).toBe(addressOfKey(operatorKey))
    }
    expect(signClaim(operatorKey, terms, 'Claim', claim)).not.toBe(
      signClaim(operatorKey, terms, 'ClaimAndClose', claim),
    )
  })

  it('a batch of claims is by the operator, for its kind, its claims and their order alone', async () => {
    const claims = [5n, 6n].map((claimMicros) => ({
      channelId: channelId(terms),
      claimMicros: micros(claimMicros),
    }))
    const batch = { payee: terms.payee, claims, deadline: 1_764_000_000 }
    const signature = signClaimBatch(operatorKey, terms, 'CloseBatch', batch)
    const hash = batchDigest(terms, 'CloseBatch', batch)
    expect(lower(await recoverAddress({ hash, signature }))).toBe(addressOfKey(operatorKey))
    const others = [
      signClaimBatch(operatorKey, terms, 'ClaimBatch', batch),
      signClaimBatch(operatorKey, terms, 'CloseBatch', { ...batch, claims: claims.toReversed() }),
      signClaimBatch(operatorKey, terms, 'CloseBatch', { ...batch, claims: claims.slice(1) }),
      signClaimBatch(operatorKey, { ...terms, chainId: 1 }, 'CloseBatch', batch),
    ]
    expect(others).not.toContain(signature)
  })

  it('a permission for an operator is by its owner', async () => {
    const operator = addressOfKey(operatorKey)
    const permission = { owner: terms.payee, operator, allowed: true, nonce: 3n, deadline: 1_764_000_000 }
    const signature = signSetOperator(sessionKey, terms, permission)
    const hash = setOperatorDigest(terms, permission)
    expect(lower(await recoverAddress({ hash, signature }))).toBe(addressOfKey(sessionKey))
  })

  it('a request to close is by its key', async () => {
    const request = { channelId: channelId(terms), nonce: 1n, deadline: 1_764_000_000 }
    const signature = signRequestClose(sessionKey, terms, request)
    const hash = requestCloseDigest(terms, request.channelId, 1n, request.deadline)
    expect(lower(await recoverAddress({ hash, signature }))).toBe(terms.authorizedSigner)
  })
})
