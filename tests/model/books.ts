import { auditLedger, type createPool } from '@orien/coordinator'
import { expect } from 'vitest'
import { openRuns, type Run, type Session } from './reference.ts'
import { broken } from './rules.ts'

type Pool = ReturnType<typeof createPool>

/** Everything about sessions that the model has an opinion on; amounts as text, which JSON cannot round. */
const BOOKS = `
  select s.id, s.status, s.channel_status as channel, s.budget_micros::text as budget, s.deposit_micros::text as deposit,
    s.spent_micros::text as spent, s.held_micros::text as held, s.authorised_micros::text as authorised,
    s.open_executions as open, s.executions, s.receipt_sequence as receipts, s.receipt_head as head, s.last_event,
    (select count(*)::int from refusals r where r.session_id = s.id) as refusals,
    (select coalesce(jsonb_agg(jsonb_build_array(e.type, e.data, e.sequence) order by e.sequence), '[]')
      from events e where e.session_id = s.id) as events,
    (select coalesce(jsonb_agg(jsonb_build_object(
        'id', e.id, 'grant', e.grant_number, 'hold', e.hold_micros::text, 'deadlineMs', e.deadline_ms,
        'voucher', e.voucher_micros::text, 'status', e.status, 'reason', e.reason, 'holdStatus', e.hold_status,
        'cost', e.cost_micros::text, 'receipt', (select r.hash from receipts r where r.execution_id = e.id),
        'isDisputed', e.dispute is not null) order by e.id), '[]')
      from executions e where e.session_id = s.id) as runs,
    (select coalesce(jsonb_object_agg(account, amount), '{}') from (
      select l.account, sum(l.amount_micros)::text as amount from ledger_entries l
        join ledger_transfers t on t.id = l.transfer_id where t.session_id = s.id group by l.account) b) as entries
  from sessions s order by s.id`

export type Books = {
  id: string
  last_event: number
  events: [string, Record<string, unknown>, number][]
  runs: { id: string; voucher: string }[]
} & Record<string, unknown>

export async function readBooks(pool: Pool): Promise<Books[]> {
  const { rows } = await pool.query<Books>(BOOKS)
  return rows
}

function runOf(run: Run): object {
  return {
    id: run.id,
    grant: run.grant,
    hold: `${run.holdMicros}`,
    deadlineMs: run.deadlineMs,
    voucher: `${run.voucherMicros}`,
    status: run.status,
    reason: run.reason,
    holdStatus: run.hold,
    cost: `${run.costMicros}`,
    receipt: run.receiptHash,
    isDisputed: run.isDisputed,
  }
}

/** The model's session in the words of the query. */
function booksOf(s: Session): object {
  return {
    id: s.id,
    status: s.status,
    channel: s.channel,
    budget: `${s.budgetMicros}`,
    deposit: `${s.depositMicros}`,
    spent: `${s.spentMicros}`,
    held: `${s.heldMicros}`,
    authorised: `${s.authorisedMicros}`,
    open: openRuns(s).length,
    executions: s.runs.size,
    receipts: s.receipts,
    head: s.head,
    last_event: s.events.length,
    refusals: [...s.answers.values()].filter(({ answer }) => answer.is === 'refused').length,
    runs: [...s.runs.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).map(runOf),
    entries: Object.fromEntries([...s.entries].map(([account, amount]) => [account, `${amount}`])),
  }
}

/** Requires that database and model tell the same of every session, event by event, and that no rule is broken. */
export async function requireSame(pool: Pool, sessions: readonly Session[]): Promise<void> {
  const found = await readBooks(pool)
  const expected = [...sessions].sort((a, b) => (a.id < b.id ? -1 : 1))
  expect(found.map((books) => books.id)).toEqual(expected.map((s) => s.id))
  for (const [index, session] of expected.entries()) {
    const { events, ...books } = found[index] as Books
    expect(books).toEqual(booksOf(session))
    expect(events.map(([type, , sequence]) => [sequence, type])).toEqual(
      session.events.map(({ type }, at) => [at + 1, type]),
    )
    for (const [at, event] of session.events.entries()) expect(events[at]?.[1]).toMatchObject(event.data)
    expect(broken(session)).toEqual([])
  }
}

/** Requires what `orien reconcile` requires. */
export async function requireAudit(pool: Pool): Promise<void> {
  const drifts = await auditLedger(pool)
  expect(drifts.filter(({ violations }) => violations > 0)).toEqual([])
}

/** Between two histories: nothing of the last one is left. */
export async function clearBooks(pool: Pool): Promise<void> {
  await pool.query(
    `delete from ledger_transfers; delete from ledger_accounts; delete from receipts;
     delete from disputes; delete from refusals; delete from events; delete from executions; delete from transactions;
     delete from idempotency; delete from sessions; delete from facts`,
  )
}
