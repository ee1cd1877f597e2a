import { z } from 'zod'
import type { Bill, ChainFacts } from '../bill.ts'
import { type ChannelTerms, channelId, sessionSalt, voucherDigest } from '../channel.ts'
import { makeId } from '../ids.ts'
import { invariant } from '../invariant.ts'
import { jwsHash, makeJws } from '../jws.ts'
import { costMicros } from '../meter.ts'
import { add, micros, subtract, type UsdcMicros, ZERO } from '../money.ts'
import { type Offer, offer as offerSchema } from '../offer.ts'
import { type Receipt, readReceipt, signReceipt } from '../receipt.ts'
import { type RefundItem, type RefundPayment, signRefunds } from '../refund.ts'
import { deriveProviderId, type Registration, registrationDigest } from '../registration.ts'
import { splitCumulative } from '../split.ts'
import { durationMs } from '../time.ts'
import { digest, makeNodeKey, makeWallet, type NodeKey, type Wallet, word } from './keys.ts'

/** Everyone who signs something in a bill. */
export type Cast = { agent: Wallet; session: Wallet; owner: Wallet; node: NodeKey; coordinator: NodeKey }

export function makeCast(name: string): Cast {
  return {
    agent: makeWallet(`${name} agent`),
    session: makeWallet(`${name} session`),
    owner: makeWallet(`${name} owner`),
    node: makeNodeKey(),
    coordinator: makeNodeKey(),
  }
}

const SESSION_ID = makeId('session', 1_764_000_000_000, new Uint8Array(10).fill(1))
const ESCROW = '0x00000000000000000000000000000000000e5c40'
const TOKEN = '0x0000000000000000000000000000000000007073'
const RATE = micros(600_000n)
const TOOL = { id: 'render_scene', manifestHash: digest('manifest'), timeMs: 60_000 }

export function makeRegistration(cast: Cast): Registration {
  const salt = word('provider salt')
  return {
    providerId: deriveProviderId(cast.owner.address, salt),
    name: 'Atelier Nord',
    payout: cast.owner.address,
    salt,
    nodeKey: cast.node.publicKey,
    operator: makeWallet('operator').address,
    issuedAt: 1_764_000_000,
  }
}

export function makeOffer(cast: Cast): Offer {
  const registration = makeRegistration(cast)
  return {
    v: 1,
    providerId: registration.providerId,
    nodeKey: cast.node.publicKey,
    payout: cast.owner.address,
    chainId: 31_337,
    escrow: ESCROW,
    token: TOKEN,
    rateMicrosPerMinute: RATE,
    split: { providerBps: 9000, platformBps: 700, reserveBps: 300 },
    tools: [TOOL],
    isolation: 'namespaces',
    validFrom: '2026-11-23T00:00:00.000Z',
    validUntil: '2026-11-24T00:00:00.000Z',
  }
}

export function signOffer(offer: Offer, cast: Cast): string {
  return makeJws('orien-offer+jws', cast.node.publicKey, z.encode(offerSchema, offer), cast.node.sign)
}

function makeChannel(cast: Cast): ChannelTerms {
  return {
    chainId: 31_337,
    escrow: ESCROW,
    token: TOKEN,
    payer: cast.agent.address,
    payee: cast.owner.address,
    salt: sessionSalt(SESSION_ID),
    authorizedSigner: cast.session.address,
  }
}

/** The receipt that follows a head, of a run that took `effectiveMs`. */
export function nextReceipt(
  cast: Cast,
  head: { sequence: number; hash: string; cumulativeMicros: UsdcMicros },
  effectiveMs: number,
): Receipt {
  const cost = costMicros(RATE, durationMs(effectiveMs))
  const sequence = head.sequence + 1
  return {
    v: 1,
    executionId: makeId('execution', 1_764_000_000_000 + sequence, new Uint8Array(10).fill(sequence % 256)),
    sessionId: SESSION_ID,
    providerId: makeRegistration(cast).providerId,
    channelId: channelId(makeChannel(cast)),
    sequence,
    previous: head.hash,
    grant: sequence,
    tool: TOOL.id,
    manifestHash: TOOL.manifestHash,
    argumentsHash: digest(`arguments ${sequence}`),
    inputs: [{ name: 'scene.json', sha256: digest('scene'), bytes: 120 }],
    outputs: [{ name: `out/${sequence}.png`, sha256: digest(`png ${sequence}`), bytes: 4_096 }],
    logHash: digest(`log ${sequence}`),
    logBytes: 512,
    isolation: 'namespaces',
    startedAt: '2026-11-23T04:00:00.000Z',
    endedAt: '2026-11-23T04:00:05.000Z',
    effectiveMs,
    cpuMs: effectiveMs,
    maxRssBytes: 50_000_000,
    sources: { wall: 'helper', cpu: 'helper', memory: 'cgroup' },
    exitCode: 0,
    status: 'completed',
    rateMicrosPerMinute: RATE,
    holdMicros: costMicros(RATE, durationMs(60_000)),
    deadlineMs: 60_000,
    costMicros: cost,
    cumulativeMicros: add(head.cumulativeMicros, cost),
  }
}

/** Signs the runs of a session into a chain. */
export function makeReceipts(cast: Cast, offer: string, runsMs: readonly number[]) {
  let head = { sequence: 0, hash: jwsHash(offer), cumulativeMicros: ZERO }
  const receipts = runsMs.map((effectiveMs) => {
    const receipt = nextReceipt(cast, head, effectiveMs)
    const jws = signReceipt(receipt, cast.node.publicKey, cast.node.sign)
    head = { sequence: receipt.sequence, hash: jwsHash(jws), cumulativeMicros: receipt.cumulativeMicros }
    return jws
  })
  return { receipts, head }
}

export function countersign(cast: Cast, receiptHash: string): string {
  const payload = { v: 1, receiptHash, recordedAt: '2026-11-23T04:00:06.000Z' }
  return makeJws('orien-countersignature+jws', cast.coordinator.publicKey, payload, cast.coordinator.sign)
}

/** A settled bill, true in every field. */
export function makeBill(cast: Cast, runsMs: readonly number[] = [1_500, 7, 59_999]): Bill {
  const registration = makeRegistration(cast)
  const channel = makeChannel(cast)
  const offer = signOffer(makeOffer(cast), cast)
  const { receipts, head } = makeReceipts(cast, offer, runsMs)
  const consumedMicros = head.cumulativeMicros
  const depositMicros = micros(5_000_000n)
  const cumulativeMicros = add(consumedMicros, micros(100n))
  return {
    v: 1,
    kind: 'orien-bill',
    sessionId: SESSION_ID,
    channel,
    depositMicros,
    registration: { registration, signature: cast.owner.signDigest(registrationDigest(registration)) },
    offer,
    coordinatorKey: cast.coordinator.publicKey,
    receipts,
    ...(receipts.length > 0 ? { countersignature: countersign(cast, head.hash) } : {}),
    voucher: {
      cumulativeMicros,
      signature: cast.session.signDigest(voucherDigest(channel, channelId(channel), cumulativeMicros)),
    },
    consumedMicros,
    settlement: {
      txHash: word('transaction'),
      blockNumber: 42,
      ...splitCumulative(consumedMicros),
      refundedMicros: subtract(depositMicros, consumedMicros),
    },
  }
}

/** The same bill with the first of its runs refunded in part by rule. */
export function refunded(cast: Cast, bill: Bill, change: Partial<RefundItem> = {}): Bill {
  const first = readReceipt(bill.receipts[0] ?? '')?.receipt
  invariant(first, 'the bill has a run')
  const { executionId: subject, costMicros: lostMicros } = first
  const item = {
    cause: 'missing_output' as const,
    subject,
    lostMicros,
    refundedMicros: micros(30n),
    ...change,
  }
  return { ...bill, refunds: stateRefunds(cast, bill, [item]) }
}

/** A payment of the refund that {@link refunded} states. */
export function paymentOf(bill: Bill): RefundPayment {
  const first = readReceipt(bill.receipts[0] ?? '')?.receipt
  invariant(first, 'the bill has a run')
  const { executionId: subject } = first
  return { cause: 'missing_output', subject, paidMicros: micros(30n), txHash: word('payment') }
}

/** What a coordinator signs about these refunds of a bill's session. */
export function stateRefunds(cast: Cast, { sessionId }: Bill, refunds: RefundItem[]): string {
  const { publicKey, sign } = cast.coordinator
  return signRefunds({ v: 1, sessionId, refunds }, publicKey, sign)
}

/** What the chain says when it did what the bill tells. */
export function factsOf(bill: Bill): ChainFacts {
  const { payer, payee, token, authorizedSigner } = bill.channel
  return {
    channel: {
      payer,
      payee,
      token,
      authorizedSigner,
      depositMicros: bill.depositMicros,
      settledMicros: bill.consumedMicros,
      finalized: true,
    },
    settlement: bill.settlement ?? null,
    refundPayments: bill.refundPayments ?? [],
  }
}
