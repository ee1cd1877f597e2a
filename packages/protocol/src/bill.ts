import { z } from 'zod'
import { bytes32, ed25519Key, type Hex } from './bytes.ts'
import { canonicalJson, type Json, parseCanonicalJson } from './canonicalJson.ts'
import {
  type ChannelTerms,
  channelId,
  channelTerms,
  isCanonicalSignature,
  sessionSalt,
  voucher,
  voucherDigest,
} from './channel.ts'
import { sessionId } from './ids.ts'
import { decodeJws, type Ed25519Verify, isSignedBy, jwsHash } from './jws.ts'
import { add, micros, type UsdcMicros, usdcMicros, ZERO } from './money.ts'
import { type Offer, offer as offerSchema } from './offer.ts'
import {
  type ChainHead,
  countersignature as countersignatureSchema,
  type Receipt,
  readReceipt,
  receiptFault,
} from './receipt.ts'
import { type RefundPayment, readRefunds, refundFault, refundPayment, refundPaymentFault } from './refund.ts'
import { deriveProviderId, registrationDigest, signedRegistration } from './registration.ts'
import { splitCumulative } from './split.ts'

/** What the chain was asked to do in the end, and what it did. */
export const billSettlement = z.strictObject({
  txHash: bytes32,
  blockNumber: z.int().min(0),
  providerMicros: usdcMicros,
  platformMicros: usdcMicros,
  reserveMicros: usdcMicros,
  refundedMicros: usdcMicros,
})

/**
 * A bill: everything needed to recompute what a session cost, with no coordinator. Its root of trust is outside it:
 * the channel's payee on the chain → the owner's registration → the node key → offer and receipts, and the channel's
 * authorised signer → the voucher.
 */
export const bill = z.strictObject({
  v: z.literal(1),
  kind: z.literal('orien-bill'),
  sessionId,
  channel: channelTerms,
  depositMicros: usdcMicros,
  registration: signedRegistration,
  offer: z.string(),
  /** The key of the countersignatures. */
  coordinatorKey: ed25519Key,
  /** All receipts, each a JWS, in their order. */
  receipts: z.array(z.string()),
  /** The coordinator's signature over the last receipt, and so over the whole chain; absent when there is none. */
  countersignature: z.string().optional(),
  /** The highest voucher that the coordinator holds. */
  voucher,
  consumedMicros: usdcMicros,
  /** Absent until it is final. */
  settlement: billSettlement.optional(),
  /** What the rules refund beside the settlement, a JWS of the coordinator's key; absent where nothing is. */
  refunds: z.string().optional(),
  /** Those of them that were paid, as the chain shows. */
  refundPayments: z.array(refundPayment).min(1).optional(),
})
/** See {@link bill}. */
export type Bill = z.output<typeof bill>

/** Signature checks that the caller brings: the protocol holds no cryptography but hashes. */
export type BillCrypto = {
  verifyEd25519: Ed25519Verify
  /** The address that signed a digest, lower case; null when there is none. */
  recoverAddress: (digest: Hex, signature: Hex) => Hex | null
}

/** What a verifier read from the chain by itself. */
export type ChainFacts = {
  channel: {
    payer: Hex
    payee: Hex
    token: Hex
    authorizedSigner: Hex
    depositMicros: UsdcMicros
    settledMicros: UsdcMicros
    finalized: boolean
  } | null
  settlement: z.output<typeof billSettlement> | null
  /** For each payment of a refund on the bill: the transaction by which the reserve paid it, and what; null for none. */
  refundPayments: readonly (Pick<RefundPayment, 'txHash' | 'paidMicros'> | null)[]
}

/** One thing that was checked. */
export type BillLine = { line: string; ok: boolean; detail?: string }

/** The outcome: `consistent` in itself, `verified` against the chain, or `rejected` at its first failing line. */
export type BillVerdict = {
  verdict: 'consistent' | 'verified' | 'rejected'
  lines: readonly BillLine[]
  failure?: BillLine
}

/** Reads a bill's text; any bytes but the one canonical form (with or without its final newline) are refused. */
export function parseBill(text: string): { ok: true; bill: Bill } | { ok: false; failure: BillLine } {
  const refuse = (line: string, detail: string) => ({
    ok: false as const,
    failure: { line, ok: false, detail },
  })
  const body = text.endsWith('\n') ? text.slice(0, -1) : text
  const json = parseCanonicalJson(body)
  if (json === undefined) return refuse('bill', 'is not JSON in canonical form (RFC 8785)')
  const parsed = bill.safeDecode(json as z.input<typeof bill>)
  if (parsed.success) {
    // What decoding evens out (an address in capitals, a name with spaces) is another spelling of the same bill.
    if (printBill(parsed.data) === `${body}\n`) return { ok: true, bill: parsed.data }
    return refuse('bill', 'is not in the one form that it is printed in')
  }
  const issue = parsed.error.issues[0]
  return refuse(issue?.path.join('.') || 'bill', issue?.message ?? 'is not a bill')
}

/** A bill as text: RFC 8785 and a final newline. */
export function printBill(value: Bill): string {
  return `${canonicalJson(z.encode(bill, value) as unknown as Json)}\n`
}

type Check = (line: string, ok: boolean, detail: string) => void

function checkRegistration(value: Bill, crypto: BillCrypto, check: Check): void {
  const { registration, signature } = value.registration
  const signer = crypto.recoverAddress(registrationDigest(registration), signature)
  check('registration.signature', signer === registration.payout, 'must be by the payout address')
  const id = deriveProviderId(registration.payout, registration.salt)
  check('registration.providerId', registration.providerId === id, 'must follow from payout address and salt')
  check('channel.payee', value.channel.payee === registration.payout, 'must be the registered payout address')
  check('channel.salt', value.channel.salt === sessionSalt(value.sessionId), 'must belong to the session')
}

function checkOffer(value: Bill, crypto: BillCrypto, check: Check): Offer | null {
  const decoded = decodeJws('orien-offer+jws', value.offer)
  const parsed = decoded && offerSchema.safeDecode(decoded.payload as z.input<typeof offerSchema>)
  const { registration } = value.registration
  const signed = decoded && isSignedBy(decoded, registration.nodeKey, crypto.verifyEd25519)
  check('offer', Boolean(parsed?.success && signed), 'must be signed by the registered node key')
  if (!parsed?.success) return null
  const { data } = parsed
  const same =
    data.providerId === registration.providerId &&
    data.nodeKey === registration.nodeKey &&
    data.payout === registration.payout
  check('offer.provider', same, 'must name the registered provider')
  const { chainId, escrow, token } = value.channel
  check(
    'offer.chain',
    data.chainId === chainId && data.escrow === escrow && data.token === token,
    'must name the channel’s contract',
  )
  return data
}

/** What binds a receipt to this bill besides its chain. */
function receiptBinding(value: Receipt, of: { bill: Bill; offer: Offer; id: Hex }): string | null {
  if (value.sessionId !== of.bill.sessionId) return 'is of another session'
  if (value.channelId !== of.id) return 'is of another channel'
  if (value.providerId !== of.offer.providerId) return 'is of another provider'
  if (value.rateMicrosPerMinute !== of.offer.rateMicrosPerMinute)
    return 'is priced at another rate than the offer'
  const tool = of.offer.tools.find((candidate) => candidate.id === value.tool)
  if (tool?.manifestHash !== value.manifestHash) return 'ran another tool than the offer names'
  // However often its grant was raised: the offer names the longest that a tool may run.
  return value.effectiveMs > tool.timeMs ? 'ran longer than the offer lets its tool' : null
}

function isCountersigned(jws: string, receiptHash: string, key: string, verify: Ed25519Verify): boolean {
  const decoded = decodeJws('orien-countersignature+jws', jws)
  const parsed = countersignatureSchema.safeParse(decoded?.payload)
  return Boolean(
    decoded && parsed.success && parsed.data.receiptHash === receiptHash && isSignedBy(decoded, key, verify),
  )
}

type ReceiptContext = { offer: Offer; crypto: BillCrypto; check: Check; everySignature: boolean }

/**
 * Each receipt names the hash of the one before, signature included, so the signature of the last one covers them all;
 * `everySignature` checks each, to name the first that is wrong.
 */
function checkReceipts(value: Bill, { offer, crypto, check, everySignature }: ReceiptContext): ChainHead {
  const { nodeKey } = value.registration.registration
  const id = channelId(value.channel)
  let head: ChainHead = { sequence: 0, hash: jwsHash(value.offer), cumulativeMicros: ZERO }
  const grants = new Set<number>()
  const executions = new Set<string>()
  value.receipts.forEach((jws, index) => {
    const line = `receipts[${index}]`
    const read = readReceipt(jws)
    check(line, read !== null, 'is not a receipt')
    if (!read) return
    if (everySignature || index === value.receipts.length - 1) {
      check(
        `${line}.signature`,
        read.verify(nodeKey, crypto.verifyEd25519),
        'must be by the registered node key',
      )
    }
    const fault = receiptFault(read.receipt, head)
    check(`${line}.${fault?.field ?? 'chain'}`, fault === null, fault?.message ?? '')
    const stranger = receiptBinding(read.receipt, { bill: value, offer, id })
    check(`${line}.binding`, stranger === null, stranger ?? '')
    check(`${line}.grant`, !grants.has(read.receipt.grant), 'was spent twice')
    grants.add(read.receipt.grant)
    check(`${line}.executionId`, !executions.has(read.receipt.executionId), 'was billed twice')
    executions.add(read.receipt.executionId)
    head = {
      sequence: read.receipt.sequence,
      hash: read.hash,
      cumulativeMicros: read.receipt.cumulativeMicros,
    }
  })
  const { countersignature, coordinatorKey } = value
  const countersigned =
    value.receipts.length === 0
      ? countersignature === undefined
      : isCountersigned(countersignature ?? '', head.hash, coordinatorKey, crypto.verifyEd25519)
  check('countersignature', countersigned, 'must be by the coordinator key over the last receipt')
  return head
}

function checkMoney(value: Bill, consumed: UsdcMicros, crypto: BillCrypto, check: Check): void {
  const terms: ChannelTerms = value.channel
  const digest = voucherDigest(terms, channelId(terms), value.voucher.cumulativeMicros)
  const signer = isCanonicalSignature(value.voucher.signature)
    ? crypto.recoverAddress(digest, value.voucher.signature)
    : null
  check('voucher.signature', signer === terms.authorizedSigner, 'must be by the channel’s authorised signer')
  check('consumedMicros', value.consumedMicros === consumed, `must be ${consumed}, the sum of the receipts`)
  check(
    'voucher.cumulativeMicros',
    value.voucher.cumulativeMicros >= consumed,
    'must cover what was consumed',
  )
  check('depositMicros', value.depositMicros >= value.voucher.cumulativeMicros, 'must cover the voucher')
  const { settlement } = value
  if (!settlement) return
  const shares = splitCumulative(consumed)
  const refund = value.depositMicros >= consumed ? micros(value.depositMicros - consumed) : ZERO
  for (const name of ['providerMicros', 'platformMicros', 'reserveMicros'] as const) {
    check(`settlement.${name}`, settlement[name] === shares[name], `must be ${shares[name]}`)
  }
  check('settlement.refundedMicros', settlement.refundedMicros === refund, `must be ${refund}`)
}

/** The reserve's debts to the agent: owed by the one who signed them, and after rules that the bill itself shows. */
function checkRefunds(value: Bill, { verifyEd25519 }: BillCrypto, check: Check): void {
  if (value.refunds === undefined) {
    check('refundPayments', value.refundPayments === undefined, 'are of refunds that the bill does not state')
    return
  }
  const statement = readRefunds(value.refunds, value.coordinatorKey, verifyEd25519)
  const { sessionId: id, settlement, consumedMicros } = value
  check('refunds', statement?.sessionId === id, 'must be signed by the coordinator key for this session')
  check('refunds.settlement', settlement !== undefined, 'come after the settlement alone')
  if (!statement || !settlement) return
  const receipts = value.receipts.flatMap((jws) => readReceipt(jws)?.receipt ?? [])
  const { providerMicros, platformMicros, reserveMicros } = settlement
  const settledMicros = add(providerMicros, platformMicros, reserveMicros)
  const grounds = { sessionId: id, receipts, consumedMicros, settledMicros }
  statement.refunds.forEach((item, index, all) => {
    const fault = refundFault(item, grounds, all.slice(0, index))
    check(`refunds[${index}]`, fault === null, fault ?? '')
  })
  value.refundPayments?.forEach((payment, index, all) => {
    const fault = refundPaymentFault(payment, statement.refunds, all.slice(0, index))
    check(`refundPayments[${index}]`, fault === null, fault ?? '')
  })
}

function checkChain(value: Bill, facts: ChainFacts, check: Check): void {
  const onChain = facts.channel
  check('channel', onChain !== null, 'does not exist on the chain')
  if (!onChain) return
  for (const name of ['payer', 'payee', 'token', 'authorizedSigner'] as const) {
    check(`channel.${name}`, onChain[name] === value.channel[name], 'differs from the chain')
  }
  check(
    'depositMicros',
    onChain.depositMicros === value.depositMicros,
    `the chain holds ${onChain.depositMicros}`,
  )
  check('settlement', value.settlement !== undefined && onChain.finalized, 'the channel is not closed yet')
  check(
    'consumedMicros',
    onChain.settledMicros === value.consumedMicros,
    `the chain paid ${onChain.settledMicros}`,
  )
  const mined = facts.settlement
  check(
    'settlement.txHash',
    mined !== null && mined.txHash === value.settlement?.txHash,
    'is not the transaction that closed the channel',
  )
  if (!mined || !value.settlement) return
  for (const name of [
    'blockNumber',
    'providerMicros',
    'platformMicros',
    'reserveMicros',
    'refundedMicros',
  ] as const) {
    check(`settlement.${name}`, mined[name] === value.settlement[name], `the chain’s logs say ${mined[name]}`)
  }
  value.refundPayments?.forEach(({ txHash, paidMicros }, index) => {
    const paid = facts.refundPayments[index]
    const isSame = paid?.txHash === txHash && paid.paidMicros === paidMicros
    check(`refundPayments[${index}].txHash`, isSame, 'is not the reserve’s payment of this refund')
  })
}

type VerifyOptions = { facts?: ChainFacts; pinnedCoordinatorKey?: string }

function inspect(
  value: Bill,
  crypto: BillCrypto,
  options: VerifyOptions,
  everySignature: boolean,
): BillLine[] {
  const lines: BillLine[] = []
  const check: Check = (line, ok, detail) => {
    lines.push(ok ? { line, ok } : { line, ok, detail })
  }
  const pinned = options.pinnedCoordinatorKey
  if (pinned !== undefined)
    check('coordinatorKey', pinned === value.coordinatorKey, 'is not the key that you pinned')
  checkRegistration(value, crypto, check)
  const offer = checkOffer(value, crypto, check)
  const head = offer ? checkReceipts(value, { offer, crypto, check, everySignature }) : null
  checkMoney(value, head?.cumulativeMicros ?? ZERO, crypto, check)
  checkRefunds(value, crypto, check)
  if (options.facts) checkChain(value, options.facts, check)
  return lines
}

/**
 * Recomputes a bill line by line.
 *
 * @param options.facts what the caller read from the chain; without it the best verdict is `consistent`
 * @param options.pinnedCoordinatorKey the key the verifier expects, when it knows it
 * @returns every line that was checked and the first one that fails
 */
export function verifyBill(value: Bill, crypto: BillCrypto, options: VerifyOptions = {}): BillVerdict {
  const quick = inspect(value, crypto, options, false)
  if (quick.every((line) => line.ok)) {
    return { verdict: options.facts ? 'verified' : 'consistent', lines: quick }
  }
  const lines = inspect(value, crypto, options, true)
  const failure = lines.find((line) => !line.ok)
  return { verdict: 'rejected', lines, ...(failure ? { failure } : {}) }
}
