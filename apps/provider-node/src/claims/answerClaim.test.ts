import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batchDigest, type ClosingClaim, channelId, micros, sessionSalt } from '@orien/protocol'
import { addressOfKey, recoverSigner, signDigest } from '@orien/sdk'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkTerms } from '../admission/checkDispatch.ts'
import { type Journal, openJournal } from '../journal/journal.ts'
import { silentLog } from '../log.ts'
import { digestOf, type SignRequest } from '../signer/request.ts'
import { openSession, type TestSession } from '../testing/agent.ts'
import { removeDir } from '../testing/node.ts'
import { offerFor } from '../testing/offer.ts'
import { answerClaim, type Claimant } from './answerClaim.ts'
import { dropSettled } from './dropSettled.ts'

const OPERATOR_KEY = `0x${'0b'.repeat(32)}` as const
const offer = offerFor()
const operator = {
  address: addressOfKey(OPERATOR_KEY),
  sign: async (close: SignRequest) => {
    const digest = digestOf(offer.offer, offer.offer.payout, close)
    return { signature: signDigest(OPERATOR_KEY, digest), refused: [] }
  },
}
const EARNED = micros(12_345n)
const NOW = Date.parse('2026-06-01T00:00:00.000Z')

let dir = ''
let journal: Journal
let session: TestSession

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-claim-'))
  journal = await openJournal({ path: join(dir, 'journal.jsonl'), nowMs: () => NOW, onFailure: () => {} })
  await journal.append({ t: 'offer', jws: offer.jws })
  session = openSession(offer.jws)
})
afterEach(async () => {
  await journal.close()
  await removeDir(dir)
})

/** As if receipts for this much had been signed. */
async function earn(of: TestSession = session): Promise<void> {
  await journal.append({ t: 'session', sessionId: of.sessionId, offerHash: offer.hash })
  const known = journal.state.sessions.get(of.sessionId)
  if (!known) return
  known.head = { ...known.head, sequence: 1, cumulativeMicros: EARNED }
  known.channel = of.channel
}

const DEADLINE = 1_900_000_000
const claimOf = (of: TestSession, given: Partial<ClosingClaim> = {}): ClosingClaim => ({
  sessionId: of.sessionId,
  channel: of.channel,
  claimMicros: EARNED,
  ...given,
})
const request = (given: Partial<ClosingClaim> = {}) => ({
  claims: [claimOf(session, given)],
  deadline: DEADLINE,
})
const claimant = (given: Partial<Claimant> = {}): Claimant => ({
  journal,
  operator,
  offer,
  isOpen: () => false,
  ...given,
})

describe('a claim request', () => {
  test('over exactly our receipts is signed by the operator key, and the contract would take it', async () => {
    await earn()
    const { signature, refused } = await answerClaim(claimant(), request())
    const claims = [{ channelId: channelId(session.channel), claimMicros: EARNED }]
    const terms = { payee: session.channel.payee, claims, deadline: DEADLINE }
    const digest = batchDigest(session.channel, 'CloseBatch', terms)
    expect(refused).toEqual([])
    expect(recoverSigner(digest, signature ?? '0x')).toBe(operator.address)
  })

  test('over many sessions is judged one by one: what is wrong with one stops no other', async () => {
    const [other, third] = [openSession(offer.jws), openSession(offer.jws)]
    for (const each of [session, other, third]) await earn(each)
    const wrong = claimOf(other, { claimMicros: micros(EARNED - 1n) })
    const claims = [claimOf(session), wrong, claimOf(third)]
    const { signature, refused } = await answerClaim(claimant(), { claims, deadline: DEADLINE })
    expect(refused).toMatchObject([{ sessionId: other.sessionId, code: 'receipt_mismatch' }])
    const kept = digestOf(offer.offer, offer.offer.payout, {
      batch: 'CloseBatch',
      claims: [claimOf(session), claimOf(third)],
      deadline: DEADLINE,
    })
    expect(recoverSigner(kept, signature ?? '0x')).toBe(operator.address)
    const closed = [session, other, third].map(
      ({ sessionId }) => journal.state.sessions.get(sessionId)?.closed,
    )
    expect(closed).toEqual([true, false, true])
  })

  const refusedWith = (code: string) => ({ refused: [{ sessionId: session.sessionId, code }] })

  test.each([EARNED - 1n, 0n, EARNED + 1n])(
    'over %s is not signed: neither below our receipts nor above',
    async (amount) => {
      await earn()
      const answer = await answerClaim(claimant(), request({ claimMicros: micros(amount) }))
      expect(answer).toMatchObject(refusedWith('receipt_mismatch'))
      expect(answer.signature).toBeUndefined()
      expect(journal.state.sessions.get(session.sessionId)?.closed).toBe(false)
    },
  )

  test('is not signed while a run has no receipt', async () => {
    await earn()
    const answer = await answerClaim(claimant({ isOpen: () => true }), request())
    expect(answer).toMatchObject(refusedWith('illegal_transition'))
  })

  test.each([
    ['of another payee', { payee: `0x${'cc'.repeat(20)}` }],
    ['of another contract', { escrow: `0x${'cc'.repeat(20)}` }],
    ['of another session', { salt: sessionSalt('ses_0') }],
    ['with another payer than the session’s', { payer: `0x${'cc'.repeat(20)}` }],
  ] as const)('for a channel %s is not signed', async (_title, change) => {
    await earn()
    const answer = await answerClaim(claimant(), request({ channel: { ...session.channel, ...change } }))
    expect(answer).toMatchObject(refusedWith('voucher_invalid'))
  })

  test('closes the session for good, and that is remembered before the signature leaves', async () => {
    await earn()
    await answerClaim(claimant(), request())
    const work = session.work()
    const refusal = checkTerms(work, offer, journal.state.sessions.get(session.sessionId), NOW)
    expect(refusal?.code).toBe('session_not_active')
    const again = await openJournal({
      path: join(dir, 'journal.jsonl'),
      nowMs: () => NOW,
      onFailure: () => {},
    })
    expect(again.state.sessions.get(session.sessionId)?.closed).toBe(true)
    await again.close()
  })

  test('asked for twice is signed twice alike', async () => {
    await earn()
    const [one, two] = [await answerClaim(claimant(), request()), await answerClaim(claimant(), request())]
    expect(one).toEqual(two)
  })

  test('over nothing, for a session in which nothing was run, is signed and remembered', async () => {
    const { signature } = await answerClaim(claimant(), request({ claimMicros: micros(0n) }))
    expect(signature).toBeDefined()
    expect(journal.state.sessions.get(session.sessionId)?.closed).toBe(true)
  })
})

describe('a session that the coordinator calls settled', () => {
  const settled = (reading: object | null | undefined) => ({
    journal,
    channels: {
      check: async () => null,
      forget: () => {},
      read: async () => {
        if (reading === undefined) throw new TypeError('no answer')
        return reading && { ...session.state, ...reading }
      },
    } as never,
    isOpen: () => false,
    earnings: { note: () => {} },
    nowMs: () => 0,
    log: silentLog,
  })
  const forget = async () => {
    await earn()
    await journal.append({ t: 'forgotten', sessionId: session.sessionId })
  }

  test.each([
    ['is kept while the chain does not answer', undefined, true],
    ['is kept while the channel is open, whatever the coordinator says', {}, true],
    ['is kept while something is earned and the channel is not there', null, true],
    ['is let go once the chain has closed it', { finalized: true, settledMicros: EARNED }, false],
  ])('%s', async (_title, reading, isKept) => {
    await forget()
    await dropSettled(settled(reading))
    expect(journal.state.sessions.has(session.sessionId)).toBe(isKept)
  })

  test('that was paid below its receipts is reported', async () => {
    await forget()
    const errors: object[] = []
    const log = { ...silentLog, error: (event: object) => errors.push(event) }
    await dropSettled({ ...settled({ finalized: true, settledMicros: micros(1n) }), log })
    expect(errors).toMatchObject([{ event: 'session.underpaid', earnedMicros: '12345', settledMicros: '1' }])
  })
})
