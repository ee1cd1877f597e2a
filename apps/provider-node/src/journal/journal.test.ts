import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jwsHash, micros, sha256Hex } from '@orien/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { issueReceipt } from '../receipts/issueReceipt.ts'
import { freeOutcome } from '../receipts/outcome.ts'
import { openSession, type TestSession } from '../testing/agent.ts'
import { removeDir } from '../testing/node.ts'
import { KEY, offerFor, TERMS } from '../testing/offer.ts'
import { type Journal, openJournal } from './journal.ts'
import { recoverRuns } from './recover.ts'
import type { JournalState } from './state.ts'

const offer = offerFor()
const AT = '2026-06-01T00:00:00.000Z'

let dir = ''
let path = ''
let opened: Journal[] = []
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-journal-'))
  path = join(dir, 'journal.jsonl')
  opened = []
})
afterEach(async () => {
  for (const journal of opened) await journal.close()
  await removeDir(dir)
})

async function openIt(): Promise<Journal> {
  const options = { path, nowMs: () => Date.parse(AT), onFailure: () => {} }
  const journal = await openJournal(options)
  opened.push(journal)
  return journal
}

async function accept(journal: Journal, session: TestSession) {
  const work = session.work()
  const { executionId, sessionId, tool, manifestHash, grant, holdMicros, deadlineMs, rateMicrosPerMinute } =
    work
  const run = {
    executionId,
    sessionId,
    tool,
    manifestHash,
    grant,
    holdMicros,
    deadlineMs,
    rateMicrosPerMinute,
  }
  const hashes = { argumentsHash: sha256Hex(''), channelId: `0x${'0c'.repeat(32)}` as const }
  const accepted = { ...run, ...hashes, acceptedAt: AT }
  journal.note({ t: 'session', sessionId, offerHash: work.offerHash })
  await journal.append({ t: 'accepted', run: accepted, channel: work.channel, voucher: work.voucher })
  return accepted
}

const issuerOf = (journal: Journal) => ({
  journal,
  key: KEY,
  providerId: TERMS.providerId,
  isolation: 'none' as const,
})

async function work(journal: Journal, session: TestSession): Promise<string> {
  const { acceptedAt, ...subject } = await accept(journal, session)
  const interval = { startedAt: acceptedAt, endedAt: acceptedAt }
  await issueReceipt(issuerOf(journal), subject, freeOutcome('cancelled'), interval)
  return subject.executionId
}

/** Everything that the state holds, in a form that can be compared. */
const plain = (state: JournalState) => structuredClone({ ...state, currentOffer: state.currentOffer?.hash })

describe('the journal', () => {
  test('opened again, it holds exactly what was written', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const [one, two] = [openSession(offer.jws), openSession(offer.jws)]
    const acknowledged = await work(journal, one)
    await work(journal, one)
    await work(journal, two)
    await accept(journal, two)
    journal.note({ t: 'acknowledged', executionId: acknowledged as never, countersignature: 'x' })
    await journal.appendDurable({ t: 'closed', sessionId: one.sessionId })
    const again = await openIt()
    expect(plain(again.state)).toEqual(plain(journal.state))
    expect(again.state.pendingReceipts.size).toBe(2)
    expect(again.state.openRuns.size).toBe(1)
  })

  test('remembers a grant that was raised, for the receipt of a run that a crash cut off, and its voucher', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const session = openSession(offer.jws)
    const { executionId, sessionId } = await accept(journal, session)
    const raised = { executionId, sessionId, holdMicros: micros(500_000n), deadlineMs: 50_000 }
    await journal.append({ t: 'extended', ...raised, voucher: session.voucher(500_000n) })
    const lower = { ...raised, holdMicros: micros(100_001n), deadlineMs: 10_001 }
    await journal.append({ t: 'extended', ...lower, voucher: session.voucher(100_001n) })
    const again = await openIt()
    expect(again.state.openRuns.get(executionId)).toMatchObject({ holdMicros: 500_000n, deadlineMs: 50_000 })
    expect(again.state.sessions.get(sessionId)?.voucher).toEqual(session.voucher(500_000n))
    await recoverRuns(issuerOf(again), Date.parse(AT))
    // A voucher that comes when its run is over is money all the same.
    const late = { ...raised, holdMicros: micros(600_000n), voucher: session.voucher(600_000n) }
    await again.append({ t: 'extended', ...late })
    const last = await openIt()
    expect(last.state.openRuns.size).toBe(0)
    expect(last.state.sessions.get(sessionId)?.voucher).toEqual(session.voucher(600_000n))
  })

  test('opening rewrites it in its shortest form, and that holds the same again', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const session = openSession(offer.jws)
    for (let run = 0; run < 20; run += 1) {
      const executionId = await work(journal, session)
      await journal.append({ t: 'acknowledged', executionId: executionId as never, countersignature: 'x' })
    }
    const before = (await stat(path)).size
    const again = await openIt()
    expect((await stat(path)).size).toBeLessThan(before / 10)
    expect(plain((await openIt()).state)).toEqual(plain(again.state))
    expect(again.state.sessions.get(session.sessionId)?.head.sequence).toBe(20)
  })

  test('a last line that was cut off anywhere is dropped, and everything before it is kept', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const session = openSession(offer.jws)
    await work(journal, session)
    const whole = await readFile(path, 'utf8')
    const lines = whole.trimEnd().split('\n')
    const last = lines.at(-1) ?? ''
    const before = `${lines.slice(0, -1).join('\n')}\n`
    for (const cut of [1, 10, Math.floor(last.length / 2), last.length - 1]) {
      await writeFile(path, before + last.slice(0, cut))
      const again = await openIt()
      expect(again.state.openRuns.size).toBe(1)
      expect(again.state.pendingReceipts.size).toBe(0)
    }
  })

  test('damage anywhere else is an error, never a shorter memory', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const text = await readFile(path, 'utf8')
    await writeFile(path, `{"t":"offer"\n${text}`)
    await expect(openIt()).rejects.toMatchObject({ code: 'unreadable' })
  })

  test('what was promised as durable is in the file, in the order it was said, while others write too', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const sessions = Array.from({ length: 20 }, () => openSession(offer.jws))
    await Promise.all(sessions.flatMap((session) => [work(journal, session), work(journal, session)]))
    const text = await readFile(path, 'utf8')
    expect(text.endsWith('\n')).toBe(true)
    for (const { sessionId, jws } of journal.state.pendingReceipts.values()) {
      expect(text).toContain(jws)
      expect(journal.state.sessions.get(sessionId)?.head.sequence).toBe(2)
    }
    expect(plain((await openIt()).state)).toEqual(plain(journal.state))
  })

  test('a runtime that outgrows the limit is compacted without losing a line that was written meanwhile', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const sessions = Array.from({ length: 4 }, () => openSession(offer.jws))
    const padding = 'x'.repeat(1_500_000)
    for (let round = 0; round < 8; round += 1) {
      const done = await Promise.all(sessions.map((session) => work(journal, session)))
      for (const executionId of done)
        journal.note({ t: 'acknowledged', executionId: executionId as never, countersignature: padding })
    }
    await journal.appendDurable({ t: 'ended', sessionId: sessions[0]?.sessionId as never })
    expect((await stat(path)).size).toBeLessThan(20_000_000)
    expect(plain((await openIt()).state)).toEqual(plain(journal.state))
  })

  test('no argument and no output of an agent is in it', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const session = openSession(offer.jws)
    await work(journal, session)
    expect(await readFile(path, 'utf8')).not.toMatch(/"args"|"argumentsSalt"|"stdout"/)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('a file that cannot be written any more fails loudly, and nothing more is accepted', async () => {
    const failures: unknown[] = []
    const journal = await openJournal({ path, nowMs: () => 0, onFailure: (error) => failures.push(error) })
    await journal.close()
    const refused = { code: 'internal_error' }
    await expect(journal.appendDurable({ t: 'offer', jws: offer.jws })).rejects.toMatchObject(refused)
    expect(failures).toEqual([expect.objectContaining(refused)])
    await expect(journal.append({ t: 'offer', jws: offer.jws })).rejects.toMatchObject(refused)
  })

  test('runs that were open when the process died end as sandbox errors that cost nothing', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const session = openSession(offer.jws)
    await work(journal, session)
    await accept(journal, session)
    const again = await openIt()
    expect(await recoverRuns(issuerOf(again), Date.parse(AT))).toHaveLength(1)
    const state = again.state.sessions.get(session.sessionId)
    expect(state?.head).toMatchObject({ sequence: 2, cumulativeMicros: micros(0n) })
    const last = [...again.state.pendingReceipts.values()].at(-1)
    expect(state?.head.hash).toBe(jwsHash(last?.jws ?? ''))
    expect(again.state.openRuns.size).toBe(0)
  })

  test('the highest voucher is kept, in whatever order they came', async () => {
    const journal = await openIt()
    await journal.appendDurable({ t: 'offer', jws: offer.jws })
    const session = openSession(offer.jws)
    const { run } = { run: await accept(journal, session) }
    for (const cumulative of [900_000n, 300_000n])
      await journal.append({
        t: 'accepted',
        run,
        channel: session.channel,
        voucher: session.voucher(cumulative),
      })
    expect(journal.state.sessions.get(session.sessionId)?.voucher?.cumulativeMicros).toBe(900_000n)
  })
})
