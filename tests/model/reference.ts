/**
 * What ORIEN's ledger must do, without a database: sessions, vouchers, grants, holds, receipts, leases and settlement,
 * written from docs/money.md and docs/architecture.md. It shares no code with the product: two descriptions that agree
 * on every history are worth more than one that agrees with itself.
 */

type Status = 'pending' | 'active' | 'ending' | 'completed' | 'settled' | 'failed'
type Channel = 'none' | 'opening' | 'open' | 'closing' | 'closed' | 'failed'

/** One execution with its grant and hold. */
export type Run = {
  id: string
  grant: number
  holdMicros: bigint
  deadlineMs: number
  /** The longest that its tool may take. */
  limitMs: number
  /** What its hold may be raised to, of a run that goes in steps. */
  mostMicros: bigint | null
  /** What its agent was asked for last, until the hold is raised. */
  requestedMicros: bigint | null
  /** The grants before the present one. */
  earlier: { holdMicros: bigint; deadlineMs: number }[]
  isCancelled: boolean
  /** The voucher that it was granted under. */
  voucherMicros: bigint
  leaseUntilMs: number
  status: 'pending' | 'running' | 'completed' | 'failed'
  reason: string | null
  hold: 'open' | 'captured' | 'released' | 'expired'
  costMicros: bigint
  receiptHash: string | null
  isDisputed: boolean
}

/** A transaction of the relayer: what a chain makes final or fails, in the order of planning. */
type Planned = { kind: 'open' | 'top_up' | 'close'; amountMicros: bigint; reference: string }

export type Answer =
  | { is: 'accepted'; execution: string }
  | { is: 'refused'; code: string; requiredMicros?: bigint }
type Event = { type: string; data: Record<string, unknown> }

export type Session = {
  id: string
  provider: string
  rate: bigint
  status: Status
  channel: Channel
  budgetMicros: bigint
  depositMicros: bigint
  spentMicros: bigint
  heldMicros: bigint
  authorisedMicros: bigint
  /** Long runs are granted in steps of this; null: in one grant. */
  stepMicros: bigint | null
  receipts: number
  head: string
  runs: Map<string, Run>
  /** The first answer to each key that decided something, and the body that it was given to. */
  answers: Map<string, { body: string; answer: Answer }>
  planned: Planned[]
  /** Top-ups are named by the nonce of their authorisation: the same one moves money once. */
  topUps: Set<string>
  events: Event[]
  entries: Map<string, bigint>
}

/** Milliseconds that a run's receipt may be late by, the smallest grant, and the tolerance of clocks. */
export const TERMS = {
  leaseMs: 900_000,
  minimumGrantMs: 100,
  oneGrantMs: 30_000,
  toleranceMs: 250,
  tolerancePerMille: 10,
  openRuns: 1_000,
}

export const least = (first: bigint, ...rest: bigint[]) => {
  let found = first
  for (const amount of rest) if (amount < found) found = amount
  return found
}
const price = (rate: bigint, ms: number) => (rate * BigInt(ms) + 59_999n) / 60_000n
/** How long a hold lasts, of a tool that may take so long. */
const lasts = (rate: bigint, holdMicros: bigint, limitMs: number) =>
  Number(least((holdMicros * 60_000n) / rate, BigInt(limitMs)))
const refused = (code: string): Answer => ({ is: 'refused', code })
export const openRuns = (s: Session) => [...s.runs.values()].filter((run) => run.hold === 'open')

export function newSession(terms: {
  id: string
  provider: string
  rate: bigint
  budgetMicros: bigint
  stepMicros: bigint | null
  head: string
}): Session {
  const nothing = { depositMicros: 0n, spentMicros: 0n, heldMicros: 0n, authorisedMicros: 0n, receipts: 0 }
  return {
    ...terms,
    ...nothing,
    status: 'pending',
    channel: 'none',
    runs: new Map(),
    answers: new Map(),
    planned: [],
    topUps: new Set(),
    events: [{ type: 'session.created', data: { budgetMicros: `${terms.budgetMicros}` } }],
    entries: new Map(),
  }
}

export function tell(s: Session, type: string, data: Event['data'] = {}): void {
  s.events.push({ type, data })
}

/** Moves an amount between two accounts; the sum over all accounts stays zero. */
export function move(s: Session, from: string, to: string, amountMicros: bigint): void {
  if (amountMicros === 0n) return
  s.entries.set(from, (s.entries.get(from) ?? 0n) - amountMicros)
  s.entries.set(to, (s.entries.get(to) ?? 0n) + amountMicros)
}

export function start(s: Session): void {
  if (s.status !== 'pending') return
  s.status = 'active'
  tell(s, 'session.started')
}

export type Submission = {
  key: string
  body: string
  execution: string
  limitMs: number
  maxCostMicros?: bigint | undefined
  voucherMicros?: bigint | undefined
}

/** Transaction A. What decided something is the answer to this key for ever; what only asks for more is not kept. */
export function submit(s: Session, ask: Submission, nowMs: number): Answer {
  const known = s.answers.get(ask.key)
  if (known) return known.body === ask.body ? known.answer : refused('idempotency_conflict')
  const keep = (answer: Answer): Answer => {
    s.answers.set(ask.key, { body: ask.body, answer })
    if (answer.is === 'refused') tell(s, 'execution.refused', { code: answer.code })
    return answer
  }
  // One that was never started has no keys to check a voucher by.
  const hasKeys = s.events.some(({ type }) => type === 'session.started')
  if (hasKeys && (ask.voucherMicros ?? 0n) > s.budgetMicros) return refused('voucher_invalid')
  if (s.status !== 'active') return keep(refused('session_not_active'))
  if (openRuns(s).length >= TERMS.openRuns) return refused('rate_limited')
  const unheld = s.budgetMicros - s.spentMicros - s.heldMicros
  const full = least(price(s.rate, ask.limitMs), unheld, ask.maxCostMicros ?? unheld)
  const goesInSteps =
    s.stepMicros !== null && s.stepMicros < full && lasts(s.rate, full, ask.limitMs) > TERMS.oneGrantMs
  const holdMicros = goesInSteps ? (s.stepMicros ?? full) : full
  const deadlineMs = lasts(s.rate, holdMicros, ask.limitMs)
  if (deadlineMs < Math.min(TERMS.minimumGrantMs, ask.limitMs)) return keep(refused('budget_exhausted'))
  const voucherMicros = ask.voucherMicros ?? 0n
  const authorised = voucherMicros > s.authorisedMicros ? voucherMicros : s.authorisedMicros
  const required = s.spentMicros + s.heldMicros + holdMicros
  if (authorised < required) return { is: 'refused', code: 'voucher_required', requiredMicros: required }
  s.authorisedMicros = authorised
  s.heldMicros += holdMicros
  const times = { deadlineMs, limitMs: ask.limitMs, leaseUntilMs: nowMs + deadlineMs + TERMS.leaseMs }
  grant(s, ask.execution, { holdMicros, mostMicros: goesInSteps ? full : null, ...times })
  return keep({ is: 'accepted', execution: ask.execution })
}

type Granted = Pick<Run, 'holdMicros' | 'mostMicros' | 'deadlineMs' | 'limitMs' | 'leaseUntilMs'>

function grant(s: Session, id: string, terms: Granted): void {
  const unasked = { requestedMicros: null, earlier: [], isCancelled: false }
  const ran = { status: 'pending', reason: null, hold: 'open', costMicros: 0n, receiptHash: null } as const
  const fresh = { ...unasked, ...ran }
  const [grantNumber, voucherMicros] = [s.runs.size + 1, s.authorisedMicros]
  s.runs.set(id, { id, grant: grantNumber, voucherMicros, ...terms, ...fresh, isDisputed: false })
  const { holdMicros, deadlineMs } = terms
  tell(s, 'execution.accepted', {
    executionId: id,
    holdMicros: `${holdMicros}`,
    deadlineMs,
    heldMicros: `${s.heldMicros}`,
    consumedMicros: `${s.spentMicros}`,
  })
  if (s.channel !== 'none') return
  // The first accepted run sends the deposit on its way.
  s.channel = 'opening'
  s.planned.push({ kind: 'open', amountMicros: s.budgetMicros, reference: s.id })
}

/** A voucher ahead of work: it only ever raises what is authorised. */
export function voucher(s: Session, amountMicros: bigint): string {
  if (s.status !== 'active') return 'session_not_active'
  if (amountMicros > s.budgetMicros) return 'voucher_invalid'
  if (amountMicros > s.authorisedMicros) {
    s.authorisedMicros = amountMicros
    tell(s, 'voucher.accepted', { authorisedMicros: `${amountMicros}` })
  }
  return 'ok'
}

/**
 * The node says how long a run has gone on and under which deadline. From half of its grant on, the next step is
 * given, if what is authorised and not held covers it; else the agent is asked, once for one amount.
 *
 * @returns the deadline that the node is to run under
 */
export function extend(
  s: Session,
  run: Run,
  said: { usedMs: number | null; knownMs: number },
): number | null {
  const isOver = run.hold !== 'open' || run.isDisputed || run.isCancelled
  const { mostMicros } = run
  if (mostMicros === null || isOver || s.status !== 'active' || s.channel !== 'open') return null
  const beforeMs = run.earlier.at(-1)?.deadlineMs ?? 0
  const isEarly = said.usedMs !== null && said.usedMs * 2 < beforeMs + run.deadlineMs
  const free = s.budgetMicros - s.spentMicros - s.heldMicros
  const raised = least(run.holdMicros + (s.stepMicros ?? 0n), mostMicros, run.holdMicros + free)
  const deadlineMs = lasts(s.rate, raised, run.limitMs)
  if (run.deadlineMs > said.knownMs || isEarly || deadlineMs <= run.deadlineMs) return run.deadlineMs
  const required = s.spentMicros + s.heldMicros + raised - run.holdMicros
  if (s.authorisedMicros >= required) raise(s, run, raised, deadlineMs)
  else if (run.requestedMicros !== required) {
    run.requestedMicros = required
    const asked = { requiredCumulativeMicros: `${required}`, holdMicros: `${raised}`, deadlineMs }
    tell(s, 'voucher.requested', { executionId: run.id, ...asked })
  }
  return run.deadlineMs
}

function raise(s: Session, run: Run, holdMicros: bigint, deadlineMs: number): void {
  s.heldMicros += holdMicros - run.holdMicros
  run.earlier.push({ holdMicros: run.holdMicros, deadlineMs: run.deadlineMs })
  const leaseUntilMs = run.leaseUntilMs + deadlineMs - run.deadlineMs
  const voucherMicros = s.authorisedMicros
  Object.assign(run, { holdMicros, deadlineMs, leaseUntilMs, voucherMicros, requestedMicros: null })
  tell(s, 'execution.extended', {
    executionId: run.id,
    holdMicros: `${holdMicros}`,
    deadlineMs,
    heldMicros: `${s.heldMicros}`,
    consumedMicros: `${s.spentMicros}`,
  })
}

export function topUp(s: Session, amountMicros: bigint, reference: string): string {
  if (s.status !== 'active' || s.channel !== 'open') return 'session_not_active'
  if (!s.topUps.has(reference)) s.planned.push({ kind: 'top_up', amountMicros, reference })
  s.topUps.add(reference)
  return 'ok'
}

export function started(s: Session, run: Run): void {
  if (run.status !== 'pending') return
  run.status = 'running'
  tell(s, 'execution.started', { executionId: run.id })
}

/** What a node signs about a run, and how long the coordinator itself saw it run. */
export type Receipt = {
  hash: string
  sequence: number
  previous: string
  status: 'completed' | 'failed'
  reason: string | null
  holdMicros: bigint
  deadlineMs: number
  effectiveMs: number
  costMicros: bigint
  cumulativeMicros: bigint
  observedMs: number
  /** The start was reported just before and is not told yet: it is told with the receipt. */
  wasStarted: boolean
}

/** Transaction C: one receipt a run, in its place of the chain, priced by the rule, never above cover. */
export function record(s: Session, run: Run, receipt: Receipt): string {
  const cost = receipt.reason === 'rejected' ? 0n : price(s.rate, receipt.effectiveMs)
  const isOwnFault =
    receipt.costMicros !== cost || cost > receipt.holdMicros || receipt.effectiveMs > receipt.deadlineMs
  if (isOwnFault) return 'receipt_mismatch'
  if (run.receiptHash !== null) return run.receiptHash === receipt.hash ? 'accepted' : 'receipt_replayed'
  // A node that did not hear of its raised grant stopped on one before it.
  const grants = [run, ...run.earlier]
  if (
    !grants.some(
      ({ holdMicros, deadlineMs }) => holdMicros === receipt.holdMicros && deadlineMs === receipt.deadlineMs,
    )
  )
    return 'receipt_mismatch'
  if (run.isDisputed) return 'receipt_disputed'
  if (receipt.sequence !== s.receipts + 1 || receipt.previous !== s.head) return 'receipt_out_of_order'
  if (receipt.cumulativeMicros !== s.spentMicros + cost) return 'receipt_mismatch'
  const released = run.hold === 'open' ? run.holdMicros : 0n
  const limit = least(s.budgetMicros, s.authorisedMicros)
  const others = s.heldMicros - released
  // Its own hold is gone and others hold what would cover it: they end soon, and then it can be paid.
  if (others > 0n && s.spentMicros + cost <= limit && s.spentMicros + cost + others > limit)
    return 'receipt_deferred'
  const { observedMs } = receipt
  const longestMs = observedMs + TERMS.toleranceMs + (observedMs * TERMS.tolerancePerMille) / 1_000
  const isCovered = s.spentMicros + others + cost <= limit
  if (receipt.wasStarted) started(s, run)
  if (receipt.effectiveMs > longestMs) return dispute(s, run, 'implausible_duration')
  // Only an open channel pays: before it there is no deposit, and after the claim nothing more is claimed.
  if (!isCovered || (cost > 0n && s.channel !== 'open')) return dispute(s, run, 'uncovered')
  capture(s, run, receipt, released)
  return 'accepted'
}

function capture(s: Session, run: Run, receipt: Receipt, released: bigint): void {
  const { costMicros, hash, status, reason } = receipt
  s.spentMicros += costMicros
  s.heldMicros -= released
  s.receipts += 1
  s.head = hash
  move(s, `sessions:${s.id}:budget`, `sessions:${s.id}:payable`, costMicros)
  Object.assign(run, {
    status,
    reason,
    costMicros,
    receiptHash: hash,
    hold: costMicros > 0n ? 'captured' : 'released',
  })
  tell(s, `execution.${status}`, {
    executionId: run.id,
    costMicros: `${costMicros}`,
    consumedMicros: `${s.spentMicros}`,
    heldMicros: `${s.heldMicros}`,
    receiptHash: hash,
  })
}

/** Shown, unpaid, and nothing more is built on that chain. The hold stays until its lease is over. */
function dispute(s: Session, run: Run, code: string): string {
  run.isDisputed = true
  tell(s, 'execution.disputed', { executionId: run.id, code })
  return 'receipt_disputed'
}

/** The lease is over: `lost`, free, and what was held may be used again. */
export function expire(s: Session, run: Run): void {
  if (run.hold !== 'open') return
  Object.assign(run, { status: 'failed', reason: 'lost', hold: 'expired' })
  s.heldMicros -= run.holdMicros
  tell(s, 'execution.failed', {
    executionId: run.id,
    reason: 'lost',
    costMicros: '0',
    heldMicros: `${s.heldMicros}`,
  })
}

/** No new work from now on. Twice is the same as once. */
export function end(s: Session, cause: 'requested' | 'dispute'): string {
  if (s.status === 'failed') return 'illegal_transition'
  if (s.status !== 'pending' && s.status !== 'active') return 'ok'
  s.status = 'ending'
  tell(s, 'session.ending', { cause })
  complete(s)
  return 'ok'
}

/** Drained: what is left is to settle, or nothing when no money ever moved. */
export function complete(s: Session): void {
  if (s.status !== 'ending' || openRuns(s).length > 0) return
  s.status = 'completed'
  tell(s, 'session.completed', { consumedMicros: `${s.spentMicros}` })
  if (s.channel !== 'none') return
  s.status = 'settled'
  tell(s, 'session.settled')
}
