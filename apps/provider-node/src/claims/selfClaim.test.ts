import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hex, micros, OrienError } from '@orien/protocol'
import { addressOfKey, type Sender, signDigest } from '@orien/sdk'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Journal, openJournal } from '../journal/journal.ts'
import { digestOf, type SendRequest, type SignRequest } from '../signer/request.ts'
import { openSession, type TestSession } from '../testing/agent.ts'
import { createTestClock } from '../testing/clock.ts'
import { removeDir } from '../testing/node.ts'
import { offerFor } from '../testing/offer.ts'
import { createSelfClaim } from './selfClaim.ts'
import type { SelfClaimContext } from './selfClaimContext.ts'

const KEY = `0x${'0b'.repeat(32)}` as const
const offer = offerFor()
/** What the escrow pays for one close in one transaction, and for two. */
const [ONE_WEI, TWO_WEI] = [530_000n, 592_000n]

let dir = ''
let journal: Journal
let sessions: TestSession[] = []
/** What was signed to be sent: sessions in their order, and the fees. */
let sent: { batch: SendRequest['batch']; sessionIds: string[]; fees: SendRequest['fees'] }[] = []
let told: object[] = []
/** Of the chain, as the test wants it. */
let sender: Sender
let refused = new Set<string>()
let openRuns = new Set<string>()
/** Whether each session was closed for work when its close was signed. */
let closedThen: boolean[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-self-claim-'))
  journal = await openJournal({ path: join(dir, 'journal.jsonl'), nowMs: () => 0, onFailure: () => {} })
  await journal.append({ t: 'offer', jws: offer.jws })
  sessions = []
  ;[sent, told, closedThen, refused, openRuns] = [[], [], [], new Set(), new Set()]
  sender = { balanceWei: 10n ** 18n, nonce: 4, maxFeePerGas: 1n, maxPriorityFeePerGas: 1n }
})
afterEach(async () => {
  await journal.close()
  await removeDir(dir)
})

/** A session with receipts for this much, whose agent has asked for its money back. */
async function leaving(earnedMicros: bigint): Promise<TestSession> {
  const session = openSession(offer.jws)
  await journal.append({ t: 'session', sessionId: session.sessionId, offerHash: offer.hash })
  const known = journal.state.sessions.get(session.sessionId)
  if (!known || !session.state) throw new TypeError('the journal knows what it was told')
  known.head = { ...known.head, sequence: 1, cumulativeMicros: micros(earnedMicros) }
  known.channel = session.channel
  known.voucher = session.voucher(earnedMicros)
  session.state.closeRequestedAt = 1
  sessions.push(session)
  return session
}

/** The same, whose agent goes on. */
async function working(earnedMicros: bigint): Promise<TestSession> {
  const session = await leaving(earnedMicros)
  if (session.state) session.state.closeRequestedAt = 0
  const known = journal.state.sessions.get(session.sessionId)
  if (known) known.lastReceipt = 'a receipt, for which the signer would look'
  return session
}

const idsOf = ({ claims }: Pick<SignRequest, 'claims'>) => claims.map(({ sessionId }) => sessionId as string)
const operator = {
  address: addressOfKey(KEY),
  sign: async (close: SignRequest) => {
    const digest = digestOf(offer.offer, offer.offer.payout, close)
    closedThen = idsOf(close).map((id) => journal.state.sessions.get(id)?.closed === true)
    return { signature: signDigest(KEY, digest), refused: [] }
  },
  signSend: async (request: SendRequest) => {
    sent.push({ batch: request.batch, sessionIds: idsOf(request), fees: request.fees })
    return { raw: '0x02' as Hex, refused: [] }
  },
}

/** Stands in for a chain: what it says is the test's. */
function selfClaim(given: Partial<SelfClaimContext> = {}) {
  const tried: string[][] = []
  const clock = createTestClock()
  const tell = (event: object) => void told.push(event)
  return createSelfClaim({
    claimant: () => ({ journal, operator, offer, isOpen: (id) => openRuns.has(id) }),
    operator: {
      ...operator,
      sign: (close) => {
        tried.push(idsOf(close))
        return operator.sign(close)
      },
    },
    chain: {
      graceSeconds: async () => 900,
      nowSeconds: async () => 1_000,
      sender: async () => sender,
      tryBatch: async () => ({
        gas: 100_000n,
        refusals: (tried.at(-1) ?? []).map((id) => (refused.has(id) ? 'ChannelFinalized' : null)),
      }),
      send: async () => ({ hash: '0xabcd', status: 'mined' }),
    },
    channels: {
      read: async ({ salt }) => sessions.find(({ channel }) => channel.salt === salt)?.state ?? null,
      check: async () => null,
      forget: () => {},
    },
    earnings: { note: () => {} },
    heard: { look: () => {}, silentMs: () => 0, aloneMs: () => 60_000 },
    isLive: () => false,
    clock,
    timing: { claimPatienceMs: 60_000, claimSilenceMs: 3_600_000, claimEveryMs: 600_000 },
    log: { info: tell, warn: tell, error: tell },
    ...given,
  })
}

describe('a node that claims by itself', () => {
  test('takes no more work in a session before anything of it is signed', async () => {
    await leaving(500n)
    await selfClaim().look()
    expect(closedThen).toEqual([true])
    expect(sent).toHaveLength(1)
  })

  test('leaves out what the escrow refuses, says so, and has the rest signed anew', async () => {
    const [sound, closed] = [await leaving(500n), await leaving(700n)]
    refused.add(closed.sessionId)
    const own = selfClaim()
    await own.look()
    expect(sent.map(({ sessionIds }) => sessionIds)).toEqual([[sound.sessionId]])
    expect(told).toContainEqual(
      expect.objectContaining({
        event: 'claim.refused',
        sessionId: closed.sessionId,
        detail: 'ChannelFinalized',
      }),
    )
    expect(own.status().last).toMatchObject({ sessions: 1, claimedMicros: '500', status: 'mined' })
  })

  test('sends nothing when everything is refused', async () => {
    refused.add((await leaving(500n)).sessionId)
    await selfClaim().look()
    expect(sent).toEqual([])
  })

  test('claims as many as its operator key can pay for, those with most at stake first', async () => {
    const [small, large, larger] = [await leaving(1n), await leaving(900n), await leaving(901n)]
    sender.balanceWei = TWO_WEI
    await selfClaim().look()
    expect(sent.map(({ sessionIds }) => sessionIds)).toEqual([[larger.sessionId, large.sessionId]])
    expect(journal.state.sessions.get(small.sessionId)?.closed).toBe(false)
    expect(told).toContainEqual({ event: 'claim.postponed', sessions: 1 })
  })

  test('whose key cannot pay closes no session, and says so once until it can', async () => {
    const { sessionId } = await leaving(500n)
    sender.balanceWei = ONE_WEI - 1n
    const own = selfClaim()
    await own.look()
    await own.look()
    expect(told.filter((event) => 'event' in event && event.event === 'claim.unfunded')).toHaveLength(1)
    expect(own.status().fault?.code).toBe('insufficient_funds')
    expect(journal.state.sessions.get(sessionId)?.closed).toBe(false)
    sender.balanceWei = ONE_WEI
    await own.look()
    expect(own.status().fault).toBeUndefined()
    expect(sent).toHaveLength(1)
  })

  test('pays an eighth more for a transaction that takes the place of one that is not mined', async () => {
    await leaving(500n)
    sender.maxFeePerGas = 800n
    sender.maxPriorityFeePerGas = 80n
    const own = selfClaim()
    await own.look()
    await own.look()
    expect(sent.map(({ fees }) => [fees.nonce, fees.maxFeePerGas, fees.maxPriorityFeePerGas])).toEqual([
      [4, 800n, 80n],
      [4, 901n, 91n],
    ])
  })

  test('waits for a run that has no receipt yet, and claims the other sessions', async () => {
    const [busy, done] = [await leaving(500n), await leaving(400n)]
    openRuns.add(busy.sessionId)
    await selfClaim().look()
    expect(sent.map(({ sessionIds }) => sessionIds)).toEqual([[done.sessionId]])
  })

  test('asks about a closed channel no more, and sends nothing for it', async () => {
    const { state } = await leaving(500n)
    if (state) state.finalized = true
    let asked = 0
    const read = async () => {
      asked += 1
      return state
    }
    const own = selfClaim({ channels: { read, check: async () => null, forget: () => {} } })
    await own.look()
    await own.look()
    expect([asked, sent]).toEqual([1, []])
  })

  test('shows a chain that does not answer as its fault', async () => {
    const sender = () => Promise.reject(new OrienError('chain_unavailable'))
    const own = selfClaim({ chain: { sender } as unknown as SelfClaimContext['chain'] })
    await expect(own.look()).rejects.toMatchObject({ code: 'chain_unavailable' })
    expect(own.status().fault?.code).toBe('chain_unavailable')
  })
})

describe('a node whose agents go on', () => {
  const waited = { claimPatienceMs: 60_000, claimSilenceMs: 3_600_000, claimEveryMs: 0 }

  test('claims a part of what it has earned, and takes more work in the session', async () => {
    const { sessionId } = await working(550n)
    const own = selfClaim({ timing: waited })
    await own.look()
    expect(sent).toMatchObject([{ batch: 'ClaimBatch', sessionIds: [sessionId] }])
    expect(journal.state.sessions.get(sessionId)?.closed).toBe(false)
    expect(own.status().last).toMatchObject({ sessions: 1, claimedMicros: '500', status: 'mined' })
    expect(told).toContainEqual(expect.objectContaining({ event: 'claim.sent', reason: 'interval' }))
  })

  test('claims the same part once, and what a voucher does not cover never', async () => {
    const [paid, uncovered] = [await working(500n), await working(700n)]
    if (paid.state) paid.state.settledMicros = micros(500n)
    const known = journal.state.sessions.get(uncovered.sessionId)
    if (known) known.voucher = uncovered.voucher(699n)
    await selfClaim({ timing: waited }).look()
    expect(sent).toEqual([])
  })

  test('closes what has to be closed first, and claims parts at the next look', async () => {
    const [left, goesOn] = [await leaving(500n), await working(500n)]
    const own = selfClaim({ timing: waited })
    await own.look()
    expect(sent).toMatchObject([{ batch: 'CloseBatch', sessionIds: [left.sessionId] }])
    if (left.state) left.state.finalized = true
    await own.look()
    expect(sent[1]).toMatchObject({ batch: 'ClaimBatch', sessionIds: [goesOn.sessionId] })
  })

  test('lets stand what its owner has said, and claims above it without waiting', async () => {
    await working(500n)
    const timing = { ...waited, claimEveryMs: 600_000 }
    await selfClaim({ timing, unclaimedMicros: micros(501n) }).look()
    expect(sent).toEqual([])
    await selfClaim({ timing, unclaimedMicros: micros(500n) }).look()
    expect(told).toContainEqual(expect.objectContaining({ event: 'claim.sent', reason: 'threshold' }))
  })
})
