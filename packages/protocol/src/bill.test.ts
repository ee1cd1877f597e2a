import { describe, expect, it } from 'vitest'
import { type Bill, type ChainFacts, parseBill, printBill, verifyBill } from './bill.ts'
import { channelId, SECP256K1_HALF_ORDER, voucherDigest } from './channel.ts'
import { makeId } from './ids.ts'
import { jwsHash } from './jws.ts'
import { micros, ZERO } from './money.ts'
import { readReceipt, signReceipt } from './receipt.ts'
import { splitCumulative } from './split.ts'
import {
  countersign,
  factsOf,
  makeBill,
  makeCast,
  makeReceipts,
  nextReceipt,
  refunded,
  stateRefunds,
} from './testing/bill.ts'
import { crypto, makeWallet, strangeKey, word } from './testing/keys.ts'

const cast = makeCast('bill')
const good = makeBill(cast)
const facts = factsOf(good)
const strangeExecution = makeId('execution', 0, new Uint8Array(10))
const strangeSession = makeId('session', 0, new Uint8Array(10))

/** Verifies as a stranger would: from the text, with what the chain says. */
function verdictOf(bill: Bill, given: ChainFacts | undefined = facts, pinned?: string) {
  const parsed = parseBill(printBill(bill))
  if (!parsed.ok) return { verdict: 'rejected', line: parsed.failure.line }
  const options = {
    ...(given ? { facts: given } : {}),
    ...(pinned === undefined ? {} : { pinnedCoordinatorKey: pinned }),
  }
  const { verdict, failure } = verifyBill(parsed.bill, crypto, options)
  return { verdict, line: failure?.line }
}

const rejectedAt = (line: string) => ({ verdict: 'rejected', line })

describe('a true bill', () => {
  it('is consistent in itself and verified against the chain', () => {
    expect(verifyBill(good, crypto).verdict).toBe('consistent')
    expect(verdictOf(good)).toEqual({ verdict: 'verified', line: undefined })
  })

  it('of a session without a run is verified and refunds everything', () => {
    const empty = makeBill(cast, [])
    expect(empty.settlement?.refundedMicros).toBe(empty.depositMicros)
    expect(verdictOf(empty, factsOf(empty)).verdict).toBe('verified')
  })

  it('of a run that is as long as its tool may be is verified, of a longer one it is rejected', () => {
    const longest = makeBill(cast, [60_000])
    expect(verdictOf(longest, factsOf(longest)).verdict).toBe('verified')
    const { sequence, hash } = { sequence: 0, hash: jwsHash(good.offer) }
    const head = { sequence, hash, cumulativeMicros: ZERO }
    const grant = { holdMicros: micros(700_000n), deadlineMs: 70_000 }
    const receipt = { ...nextReceipt(cast, head, 60_001), ...grant }
    const jws = signReceipt(receipt, cast.node.publicKey, cast.node.sign)
    const countersignature = countersign(cast, jwsHash(jws))
    const longer = { ...good, receipts: [jws], countersignature, consumedMicros: receipt.costMicros }
    expect(verdictOf(longer, undefined)).toEqual(rejectedAt('receipts[0].binding'))
  })

  it('survives printing and parsing unchanged', () => {
    const parsed = parseBill(printBill(good))
    expect(parsed).toEqual({ ok: true, bill: good })
  })

  it('names every line that was checked, each of them fine', () => {
    const { lines } = verifyBill(good, crypto, { facts })
    expect(lines.length).toBeGreaterThan(25)
    expect(lines.every((line) => line.ok && line.detail === undefined)).toBe(true)
  })

  it('with the expected coordinator key is verified, with another it is rejected', () => {
    expect(verdictOf(good, facts, good.coordinatorKey).verdict).toBe('verified')
    expect(verdictOf(good, facts, strangeKey(9))).toEqual(rejectedAt('coordinatorKey'))
  })
})

describe('the text of a bill', () => {
  const text = printBill(good)
  const lineOf = (given: string) => {
    const parsed = parseBill(given)
    return parsed.ok ? 'accepted' : parsed.failure.line
  }

  it('is accepted with and without its final newline', () => {
    expect(lineOf(text)).toBe('accepted')
    expect(lineOf(text.slice(0, -1))).toBe('accepted')
  })

  it.each([
    ['a second newline', `${text}\n`],
    ['a trailing space', `${text.slice(0, -1)} `],
    ['a carriage return', `${text.slice(0, -1)}\r\n`],
    ['a leading space', ` ${text}`],
    ['a byte order mark', `\uFEFF${text}`],
    ['white space between members', JSON.stringify(JSON.parse(text), null, 1)],
    ['another order of members', JSON.stringify({ v: 1, ...JSON.parse(text) })],
    ['a second member of the same name', text.replace('{"channel"', '{"v":1,"channel"')],
    ['an escaped letter', text.replace('orien-bill', '\\u006frien-bill')],
    [
      'an address in capitals',
      text.replace(good.channel.payer.slice(2), good.channel.payer.slice(2).toUpperCase()),
    ],
    ['a padded name', text.replace('"Atelier Nord"', '"Atelier Nord "')],
    ['a lone surrogate', text.replace('Atelier Nord', 'Atelier \\ud800')],
    ['half of it', text.slice(0, text.length / 2)],
    ['nothing', ''],
    ['no object', '[]'],
    ['null', 'null'],
    ['a number in place of an amount', text.replace(/"depositMicros":"(\d+)"/, '"depositMicros":$1')],
  ])('is refused with %s', (_, given) => {
    expect(lineOf(given)).not.toBe('accepted')
  })

  it('is refused, not thrown on, when nested a hundred thousand deep', () => {
    expect(lineOf('['.repeat(100_000) + ']'.repeat(100_000))).toBe('bill')
    expect(lineOf(`{"v":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)).toBe('bill')
  })
})

describe('a refund on a bill', () => {
  const [first = ''] = good.receipts
  const run = readReceipt(first)?.receipt
  const executionId = run?.executionId ?? good.sessionId
  const costMicros = run?.costMicros ?? ZERO
  const item = { cause: 'missing_output' as const, subject: executionId, lostMicros: costMicros }
  const overclaim = { cause: 'overclaim' as const, subject: good.sessionId, lostMicros: costMicros }

  it('of a completed run, up to its cost, is verified with the bill', () => {
    expect(verdictOf(refunded(cast, good))).toEqual({ verdict: 'verified', line: undefined })
    expect(verdictOf(refunded(cast, good, { refundedMicros: costMicros })).verdict).toBe('verified')
  })

  it.each([
    ['of more than the run cost', { refundedMicros: micros(costMicros + 1n) }],
    ['of nothing', { refundedMicros: ZERO }],
    ['of a run that cost something else', { lostMicros: micros(costMicros + 1n) }],
    ['of a run that is not on the bill', { subject: strangeExecution }],
    ['of a claim above the receipts where there was none', overclaim],
  ])('%s is rejected there', (_, change) => {
    expect(verdictOf(refunded(cast, good, change))).toEqual(rejectedAt('refunds[0]'))
  })

  it('that stands there twice is rejected at the second', () => {
    const one = { ...item, refundedMicros: micros(30n) }
    const refunds = stateRefunds(cast, good, [one, one])
    expect(verdictOf({ ...good, refunds })).toEqual(rejectedAt('refunds[1]'))
  })

  it('that somebody else has signed, or that is of another session, is rejected', () => {
    const one = { ...item, refundedMicros: micros(30n) }
    const stranger = { ...cast, coordinator: makeCast('stranger').coordinator }
    expect(verdictOf({ ...good, refunds: stateRefunds(stranger, good, [one]) })).toEqual(
      rejectedAt('refunds'),
    )
    const other = { ...good, sessionId: strangeSession }
    expect(verdictOf({ ...good, refunds: stateRefunds(cast, other, [one]) })).toEqual(rejectedAt('refunds'))
  })

  it('before the settlement is rejected', () => {
    const { settlement: _, ...open } = refunded(cast, good)
    expect(verdictOf(open, undefined)).toEqual(rejectedAt('refunds.settlement'))
  })
})

describe('a bill with something swapped', () => {
  it('whose receipts change places is rejected at the first of them', () => {
    const [first = '', second = '', third = ''] = good.receipts
    expect(verdictOf({ ...good, receipts: [second, first, third] })).toEqual(
      rejectedAt('receipts[0].sequence'),
    )
  })

  it('with a receipt of the same session twice is rejected', () => {
    const [first = '', second = '', third = ''] = good.receipts
    expect(verdictOf({ ...good, receipts: [first, second, second, third] })).toEqual(
      rejectedAt('receipts[2].sequence'),
    )
  })

  it('without its last receipt is rejected, even when countersigned for the shorter chain', () => {
    const receipts = good.receipts.slice(0, -1)
    const countersignature = countersign(cast, jwsHash(receipts.at(-1) ?? ''))
    expect(verdictOf({ ...good, receipts, countersignature })).toEqual(rejectedAt('consumedMicros'))
  })

  it('without its first receipt is rejected there', () => {
    expect(verdictOf({ ...good, receipts: good.receipts.slice(1) })).toEqual(
      rejectedAt('receipts[0].sequence'),
    )
  })

  it('whose payer changes places with its payee is rejected', () => {
    const channel = { ...good.channel, payer: good.channel.payee, payee: good.channel.payer }
    expect(verdictOf({ ...good, channel })).toEqual(rejectedAt('channel.payee'))
  })

  it('with the voucher of another amount, signed by the right key, is accepted only while it covers', () => {
    const { channel } = good
    const signed = (cumulativeMicros: Bill['consumedMicros']) => ({
      cumulativeMicros,
      signature: cast.session.signDigest(voucherDigest(channel, channelId(channel), cumulativeMicros)),
    })
    expect(verdictOf({ ...good, voucher: signed(good.consumedMicros) }).verdict).toBe('verified')
    expect(verdictOf({ ...good, voucher: signed(micros(good.consumedMicros - 1n)) })).toEqual(
      rejectedAt('voucher.cumulativeMicros'),
    )
    expect(verdictOf({ ...good, voucher: signed(micros(good.depositMicros + 1n)) })).toEqual(
      rejectedAt('depositMicros'),
    )
  })

  it('with the high-s twin of the voucher’s signature is rejected', () => {
    const order = SECP256K1_HALF_ORDER * 2n + 1n
    const { signature } = good.voucher
    const s = order - BigInt(`0x${signature.slice(66, 130)}`)
    const v = signature.endsWith('1b') ? '1c' : '1b'
    const twin = `${signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${v}` as const
    expect(verdictOf({ ...good, voucher: { ...good.voucher, signature: twin as `0x${string}` } })).toEqual(
      rejectedAt('voucher.signature'),
    )
  })
})

describe('a bill that a dishonest node signed', () => {
  type Change = (receipt: ReturnType<typeof nextReceipt>) => Partial<ReturnType<typeof nextReceipt>>

  /** A bill whose last receipt was changed by its node before it was signed; all that follows from it is put right. */
  function forge(change: Change): Bill {
    const { receipts, head } = makeReceipts(cast, good.offer, [1_500, 7])
    const honest = nextReceipt(cast, head, 59_999)
    const forged = { ...honest, ...change(honest) }
    const jws = signReceipt(forged, cast.node.publicKey, cast.node.sign)
    const consumedMicros = forged.cumulativeMicros
    const deposit = good.depositMicros
    return {
      ...good,
      receipts: [...receipts, jws],
      countersignature: countersign(cast, jwsHash(jws)),
      consumedMicros,
      settlement: {
        txHash: word('transaction'),
        blockNumber: 42,
        ...splitCumulative(consumedMicros),
        refundedMicros: deposit > consumedMicros ? micros(deposit - consumedMicros) : ZERO,
      },
    }
  }

  const cases: [string, Change, string][] = [
    [
      'one micro-USDC more than time and rate',
      (r) => ({ costMicros: micros(r.costMicros + 1n) }),
      'costMicros',
    ],
    [
      'a sum that is not the sum',
      (r) => ({ cumulativeMicros: micros(r.cumulativeMicros + 1n) }),
      'cumulativeMicros',
    ],
    ['more time than its deadline', () => ({ deadlineMs: 100 }), 'effectiveMs'],
    ['more cost than its hold', (r) => ({ holdMicros: micros(r.costMicros - 1n) }), 'costMicros'],
    ['another rate than the offer', () => ({ rateMicrosPerMinute: micros(600_001n) }), 'costMicros'],
    [
      'another session',
      () => ({ sessionId: 'ses_00000000000000000000000000' as Bill['sessionId'] }),
      'binding',
    ],
    ['another channel', () => ({ channelId: word('another') }), 'binding'],
    ['a tool that the offer has not', () => ({ tool: 'mine_coins' }), 'binding'],
    ['another version of the tool', () => ({ manifestHash: word('other').slice(2) }), 'binding'],
    ['a grant that was spent already', () => ({ grant: 1 }), 'grant'],
    ['a gap in the sequence', () => ({ sequence: 9 }), 'sequence'],
    ['another predecessor', () => ({ previous: word('fork').slice(2) }), 'previous'],
    ['an end before its start', () => ({ endedAt: '2026-11-23T03:59:59.999Z' }), 'endedAt'],
    ['a reason although it completed', () => ({ reason: 'timed_out' as const }), 'reason'],
    [
      'a cost although it was rejected',
      () => ({ status: 'failed' as const, reason: 'rejected' as const }),
      'costMicros',
    ],
    [
      'a rate that no amount can hold',
      () => ({ rateMicrosPerMinute: micros((1n << 63n) - 1n) }),
      'costMicros',
    ],
  ]

  it.each(cases)('with %s is rejected at that receipt', (_, change, field) => {
    const bill = forge(change)
    expect(verdictOf(bill, factsOf(bill))).toEqual(rejectedAt(`receipts[2].${field}`))
  })

  it('with one run billed twice under two grants is rejected', () => {
    const { executionId } = nextReceipt(cast, { sequence: 0, hash: '', cumulativeMicros: ZERO }, 1)
    const bill = forge(() => ({ executionId }))
    expect(verdictOf(bill, factsOf(bill))).toEqual(rejectedAt('receipts[2].executionId'))
  })

  it('and that is true otherwise is verified, so the cases above fail for their reason alone', () => {
    const bill = forge(() => ({}))
    expect(verdictOf(bill, factsOf(bill)).verdict).toBe('verified')
  })
})

describe('a bill that someone re-signed throughout with keys of their own', () => {
  const forged = makeBill(makeCast('forger'))

  it('is consistent in itself, which is why consistent is not verified', () => {
    expect(verifyBill(forged, crypto).verdict).toBe('consistent')
  })

  it('is rejected by the payer, payee and signer that the chain holds', () => {
    expect(verdictOf(forged, facts)).toEqual(rejectedAt('channel.payer'))
  })

  it('is rejected when the chain has no such channel', () => {
    expect(verdictOf(forged, { channel: null, settlement: null, refundPayments: [] })).toEqual(
      rejectedAt('channel'),
    )
  })

  it('for the true payee is rejected, because its wallet did not sign the registration', () => {
    const { payee } = good.channel
    const registration = { ...forged.registration.registration, payout: payee }
    const bill = {
      ...forged,
      channel: { ...forged.channel, payee },
      registration: { ...forged.registration, registration },
    }
    expect(verdictOf(bill)).toEqual(rejectedAt('registration.signature'))
  })

  it('by another node of the true owner is rejected at the offer', () => {
    const stranger = makeCast('forger')
    const node = { ...stranger, agent: cast.agent, session: cast.session, owner: cast.owner }
    const bill = { ...makeBill(node), registration: good.registration }
    expect(verdictOf(bill)).toEqual(rejectedAt('offer'))
  })

  it('with vouchers of another session key is rejected', () => {
    const { channel } = good
    const { cumulativeMicros } = good.voucher
    const signature = makeWallet('thief').signDigest(
      voucherDigest(channel, channelId(channel), cumulativeMicros),
    )
    expect(verdictOf({ ...good, voucher: { cumulativeMicros, signature } })).toEqual(
      rejectedAt('voucher.signature'),
    )
  })
})

describe('a bill that the chain contradicts', () => {
  const channel = facts.channel
  if (!channel || !good.settlement) throw new TypeError('the good bill is settled')
  const { settlement } = good
  const other = micros(1n)

  it.each([
    ['payer', 'channel.payer', { payer: word('x').slice(0, 42) }],
    ['payee', 'channel.payee', { payee: word('x').slice(0, 42) }],
    ['token', 'channel.token', { token: word('x').slice(0, 42) }],
    ['authorised signer', 'channel.authorizedSigner', { authorizedSigner: word('x').slice(0, 42) }],
    ['deposit', 'depositMicros', { depositMicros: other }],
    ['settled sum', 'consumedMicros', { settledMicros: other }],
    ['open channel', 'settlement', { finalized: false }],
  ])('in its %s is rejected there', (_, line, change) => {
    const given = { ...facts, channel: { ...channel, ...change } } as ChainFacts
    expect(verdictOf(good, given)).toEqual(rejectedAt(line))
  })

  it.each([
    ['transaction', 'settlement.txHash', { txHash: word('other') }],
    ['block', 'settlement.blockNumber', { blockNumber: 43 }],
    ['provider’s share', 'settlement.providerMicros', { providerMicros: other }],
    ['platform’s share', 'settlement.platformMicros', { platformMicros: other }],
    ['reserve’s share', 'settlement.reserveMicros', { reserveMicros: other }],
    ['refund', 'settlement.refundedMicros', { refundedMicros: other }],
  ])('in its %s is rejected there', (_, line, change) => {
    expect(verdictOf(good, { ...facts, settlement: { ...settlement, ...change } })).toEqual(rejectedAt(line))
  })

  it('because there is no closing transaction is rejected', () => {
    expect(verdictOf(good, { ...facts, settlement: null })).toEqual(rejectedAt('settlement.txHash'))
  })
})
