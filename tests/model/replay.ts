import type { createPool } from '@orien/coordinator'
import { expect } from 'vitest'
import { type Books, readBooks } from './books.ts'
import type { Asked, Crowd } from './crowd.ts'
import { TOOLS } from './parties.ts'
import type { Session, Submission } from './reference.ts'
import * as reference from './reference.ts'

type Keys = {
  /** By execution. */
  accepted: Map<string, string>
  /** Stored refusals of a session that no event was found for yet. */
  refused: { session: string; key: string; code: string }[]
}

async function readKeys(pool: ReturnType<typeof createPool>): Promise<Keys> {
  const accepted = await pool.query<{ id: string; key: string }>(
    'select id, idempotency_key as key from executions',
  )
  const refused = await pool.query<Keys['refused'][number]>(
    'select session_id as session, idempotency_key as key, code from refusals',
  )
  return { accepted: new Map(accepted.rows.map(({ id, key }) => [id, key])), refused: refused.rows }
}

/**
 * Lets the reference do what the database says that it did, in the database's own order. Whoever was first among many
 * at once is free; what follows from that order is not.
 */
export async function replayAll(crowd: Crowd, pool: ReturnType<typeof createPool>): Promise<void> {
  const books = await readBooks(pool)
  const keys = await readKeys(pool)
  for (const { model } of crowd.places) {
    const found = books.find(({ id }) => id === model.id)
    expect(found).toBeDefined()
    if (found) replay(crowd, model, found, keys)
  }
}

function replay(crowd: Crowd, s: Session, books: Books, keys: Keys): void {
  const first = s.events.length
  for (const [index, [type, data]] of books.events.slice(first).entries()) {
    const at = first + index
    // It followed from the one before, in the same transaction.
    if (s.events[at]?.type === type) continue
    const execution = data.executionId as string
    switch (type) {
      case 'execution.accepted':
        accept(crowd, s, { execution, key: keys.accepted.get(execution) ?? '', books })
        break
      case 'execution.refused':
        refuse(crowd, s, keys, data.code as string)
        break
      case 'execution.completed':
      case 'execution.failed':
        conclude(crowd, s, execution, data.receiptHash as string | undefined)
        break
      case 'voucher.accepted':
        reference.voucher(s, BigInt(data.authorisedMicros as string))
        break
      case 'session.ending':
        reference.end(s, 'requested')
        break
      case 'session.completed':
        reference.complete(s)
        break
    }
    expect([s.id, at, s.events[at]?.type]).toEqual([s.id, at, type])
  }
}

function submissionOf(asked: Asked, execution: string, voucherMicros: bigint | undefined): Submission {
  const { key, tool, maxCostMicros } = asked
  const limitMs = (TOOLS[tool] ?? TOOLS[0]).limits.timeMs
  return { key, body: 'one', execution, limitMs, maxCostMicros, voucherMicros }
}

function accept(crowd: Crowd, s: Session, of: { execution: string; key: string; books: Books }): void {
  const asked = crowd.asked.get(of.key)
  expect(asked).toBeDefined()
  if (!asked) return
  const granted = BigInt(of.books.runs.find(({ id }) => id === of.execution)?.voucher ?? -1)
  const higher = asked.vouchers.find((amount) => amount === granted)
  const answer = reference.submit(s, submissionOf(asked, of.execution, higher), 0)
  expect(answer).toEqual({ is: 'accepted', execution: of.execution })
}

function refuse(crowd: Crowd, s: Session, keys: Keys, code: string): void {
  const index = keys.refused.findIndex(({ session, key, code: stored }) => {
    const asked = crowd.asked.get(key)
    if (session !== s.id || stored !== code || !asked) return false
    const answer = reference.submit(structuredClone(s), submissionOf(asked, 'none', undefined), 0)
    return answer.is === 'refused' && answer.code === code
  })
  expect(index).toBeGreaterThanOrEqual(0)
  const [refusal] = keys.refused.splice(index, 1)
  const asked = crowd.asked.get(refusal?.key ?? '')
  if (asked) reference.submit(s, submissionOf(asked, 'none', undefined), 0)
}

function conclude(crowd: Crowd, s: Session, execution: string, hash: string | undefined): void {
  const run = s.runs.get(execution)
  expect(run).toBeDefined()
  if (!run) return
  if (hash === undefined) {
    reference.expire(s, run)
    return
  }
  const receipt = crowd.receipts.get(hash)
  expect(receipt).toBeDefined()
  if (receipt) expect(reference.record(s, run, receipt.said)).toBe('accepted')
}
