import {
  assertNever,
  type ChainHead,
  type ChannelTerms,
  type Id,
  invariant,
  jwsHash,
  readReceipt,
  type Voucher,
  ZERO,
} from '@orien/protocol'
import { readOffer, type SignedOffer } from '../identity/offer.ts'
import type { AcceptedRun, JournalRecord, PendingReceipt, SessionRecord } from './record.ts'

/** A session as the node remembers it. */
export type Session = Omit<SessionRecord, 'done' | 'channel' | 'voucher' | 'head'> & {
  head: ChainHead
  channel?: ChannelTerms | undefined
  voucher?: Voucher | undefined
  done: Set<string>
}

/** What the journal adds up to. Changed by {@link applyRecord} alone. */
export type JournalState = {
  offers: Map<string, SignedOffer>
  /** The offer that sessions are opened on now. */
  currentOffer?: SignedOffer
  sessions: Map<string, Session>
  /** Accepted, without a receipt. */
  openRuns: Map<string, AcceptedRun>
  /** Without an acknowledgement, in the order they were signed. */
  pendingReceipts: Map<string, PendingReceipt>
}

export function emptyState(): JournalState {
  return { offers: new Map(), sessions: new Map(), openRuns: new Map(), pendingReceipts: new Map() }
}

/** Plays one record. Pure but for `state`: replaying a journal gives the state that wrote it. */
export function applyRecord(state: JournalState, record: JournalRecord): void {
  switch (record.t) {
    case 'offer':
      applyOffer(state, record.jws)
      return
    case 'session':
      applySession(state, record.sessionId, record.offerHash)
      return
    case 'accepted':
      applyAccepted(state, record)
      return
    case 'extended':
      applyExtended(state, record)
      return
    case 'receipt':
      applyReceipt(state, record)
      return
    case 'acknowledged':
      applyAcknowledged(state, record.executionId)
      return
    case 'refused':
      applyRefused(state, record)
      return
    case 'ended':
    case 'closed':
    case 'forgotten': {
      const session = state.sessions.get(record.sessionId)
      if (!session) return
      session.ended = true
      if (record.t !== 'ended') session[record.t] = true
      return
    }
    case 'final':
      dropSession(state, record.sessionId)
      return
    case 'snapshotSession':
      state.sessions.set(record.session.sessionId, { ...record.session, done: new Set(record.session.done) })
      return
    case 'snapshotRun':
      state.openRuns.set(record.run.executionId, record.run)
      return
    case 'snapshotReceipt':
      state.pendingReceipts.set(record.receipt.executionId, record.receipt)
      return
    default:
      assertNever(record)
  }
}

function applyOffer(state: JournalState, jws: string): void {
  const offer = readOffer(jws)
  invariant(offer, 'the journal holds only offers of our own')
  state.offers.set(offer.hash, offer)
  state.currentOffer = offer
}

function applySession(state: JournalState, sessionId: Id<'session'>, offerHash: string): void {
  if (state.sessions.has(sessionId)) return
  const head: ChainHead = { sequence: 0, hash: offerHash, cumulativeMicros: ZERO }
  const flags = { closed: false, ended: false, forgotten: false }
  state.sessions.set(sessionId, { sessionId, offerHash, head, ...flags, done: new Set() })
}

function applyAccepted(state: JournalState, record: Extract<JournalRecord, { t: 'accepted' }>): void {
  const session = state.sessions.get(record.run.sessionId)
  invariant(session, 'a run belongs to a session that the journal knows')
  session.channel ??= record.channel
  keepHighest(session, record.voucher)
  state.openRuns.set(record.run.executionId, record.run)
}

/** The highest voucher counts: they are cumulative, and messages may be reordered. */
function keepHighest(session: Session, voucher: Voucher): void {
  if (voucher.cumulativeMicros >= (session.voucher?.cumulativeMicros ?? ZERO)) session.voucher = voucher
}

function applyExtended(state: JournalState, record: Extract<JournalRecord, { t: 'extended' }>): void {
  const { sessionId, executionId, voucher, holdMicros, deadlineMs } = record
  const session = state.sessions.get(sessionId)
  if (session) keepHighest(session, voucher)
  const run = state.openRuns.get(executionId)
  if (run && run.holdMicros < holdMicros) state.openRuns.set(executionId, { ...run, holdMicros, deadlineMs })
}

function applyReceipt(state: JournalState, record: Extract<JournalRecord, { t: 'receipt' }>): void {
  const session = state.sessions.get(record.sessionId)
  const read = readReceipt(record.jws)
  invariant(session && read, 'a receipt of the journal is whole and belongs to a session')
  const { sequence, cumulativeMicros } = read.receipt
  invariant(sequence === session.head.sequence + 1, 'receipts of a session follow one another')
  session.head = { sequence, hash: jwsHash(record.jws), cumulativeMicros }
  session.lastReceipt = record.jws
  session.done.add(record.executionId)
  state.openRuns.delete(record.executionId)
  const { executionId, sessionId, jws } = record
  state.pendingReceipts.set(executionId, { executionId, sessionId, sequence, jws })
}

/** Receipts are acknowledged in their order: the chain would be broken otherwise. */
function applyAcknowledged(state: JournalState, executionId: string): void {
  const pending = state.pendingReceipts.get(executionId)
  const session = pending && state.sessions.get(pending.sessionId)
  if (session) session.agreedReceipt = pending.jws
  state.pendingReceipts.delete(executionId)
}

function applyRefused(state: JournalState, record: Extract<JournalRecord, { t: 'refused' }>): void {
  const pending = state.pendingReceipts.get(record.executionId)
  if (!pending) return
  const { code, detail, isFinal } = record
  pending.refusal = { code, detail, isFinal }
  const session = state.sessions.get(pending.sessionId)
  // Its chain of receipts is broken from here on: whatever came after it would be unpaid as well.
  if (session && isFinal) session.ended = true
}

function dropSession(state: JournalState, sessionId: string): void {
  state.sessions.delete(sessionId)
  for (const map of [state.openRuns, state.pendingReceipts]) {
    for (const [id, entry] of map) if (entry.sessionId === sessionId) map.delete(id)
  }
}

/** The shortest journal with the same state: offers still in use, then sessions, runs and receipts. */
export function* snapshot(state: JournalState, nowMs: number): Generator<JournalRecord> {
  const named = new Set([...state.sessions.values()].map((session) => session.offerHash))
  for (const { hash, jws, offer } of state.offers.values()) {
    const isCurrent = hash === state.currentOffer?.hash
    // The last one replayed becomes the current one.
    if (!isCurrent && (named.has(hash) || Date.parse(offer.validUntil) > nowMs)) yield { t: 'offer', jws }
  }
  if (state.currentOffer) yield { t: 'offer', jws: state.currentOffer.jws }
  for (const session of state.sessions.values())
    yield { t: 'snapshotSession', session: { ...session, done: [...session.done] as Id<'execution'>[] } }
  for (const run of state.openRuns.values()) yield { t: 'snapshotRun', run }
  for (const receipt of state.pendingReceipts.values()) yield { t: 'snapshotReceipt', receipt }
}
