import {
  type ChannelTerms,
  channelId,
  type Dispatch,
  type Hex,
  jwsHash,
  micros,
  sessionSalt,
  sha256Hex,
  type ToolManifest,
  voucherDigest,
} from '@orien/protocol'
import { type ChannelState, signDigest } from '@orien/sdk'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { applyRecord, emptyState, type JournalState } from '../journal/state.ts'
import { makeTool } from '../manifest/tools.ts'
import { openSession, type TestSession } from '../testing/agent.ts'
import { offerFor } from '../testing/offer.ts'
import { admit, sumHolds } from './admit.ts'
import { watchChannels } from './channelWatch.ts'
import { isRefusal } from './checkDispatch.ts'

const AT = Date.parse('2026-06-01T00:00:00.000Z')
const NO_WAITING = { channelFreshMs: 60_000, channelWaitMs: 0, channelRetryMs: 1 }

const manifest: ToolManifest = {
  id: 'echo',
  description: 'Says it',
  arguments: { properties: { text: { type: 'string', maxLength: 10 } }, required: ['text'] },
  limits: { timeMs: 20_000, memoryBytes: 8 << 20, processes: 1, diskBytes: 1 << 20, outputBytes: 1_024 },
  network: 'none',
  outputs: [],
  executable: '/bin/echo',
  argv: [{ kind: 'argument', name: 'text' }],
  env: {},
  readOnlyPaths: [],
}
const tool = makeTool(manifest, { executable: '/bin/echo', readOnlyPaths: [] })
const tools = [{ id: 'echo', manifestHash: tool.hash, timeMs: 20_000 }]
const offered = (given: object = {}) => offerFor({ tools, ...given })
const offer = offered()
const strangersOffer = offered({ payout: `0x${'bb'.repeat(20)}` })

function stateWith(...jws: string[]): JournalState {
  const state = emptyState()
  for (const each of jws) applyRecord(state, { t: 'offer', jws: each })
  return state
}

type Given = {
  work: Dispatch
  state?: JournalState
  reading?: ChannelState | null
  openHoldsMicros?: bigint
  nowMs?: number
}

async function judge({ work, state, reading, openHoldsMicros = 0n, nowMs = AT }: Given) {
  const channels = watchChannels(
    async () => reading ?? null,
    systemClock,
    NO_WAITING,
    new AbortController().signal,
  )
  const judges = {
    tools: new Map([['echo', tool]]),
    retired: new Map(),
    state: state ?? stateWith(offer.jws),
    channels,
    nowMs: () => nowMs,
  }
  const outcome = await admit(judges, work, micros(openHoldsMicros))
  return { refusal: isRefusal(outcome) ? outcome : null, outcome }
}

const args = { text: 'hi' }
const session = () => openSession(offer.jws)

/** The same session with another channel, and a voucher that is right for it. */
function withChannel(
  base: TestSession,
  change: Partial<ChannelTerms>,
): Pick<Dispatch, 'channel' | 'voucher'> {
  const secret = `0x${'42'.repeat(32)}` as Hex
  const channel = { ...base.channel, ...change }
  const cumulativeMicros = micros(1_000_000n)
  const signature = signDigest(secret, voucherDigest(channel, channelId(channel), cumulativeMicros))
  return { channel, voucher: { cumulativeMicros, signature } }
}

describe('a dispatch that is sound', () => {
  test('is admitted with its checked arguments and command line', async () => {
    const base = session()
    const { outcome } = await judge({ work: base.work({ args }), reading: base.state })
    expect(outcome).toMatchObject({ argv: ['hi'], args })
  })

  test('goes on under an earlier offer of ours after a new one was made, but no new session begins on it when it is over', async () => {
    const old = offered({ validUntil: '2026-05-01T00:00:00.000Z' })
    const state = stateWith(old.jws, offer.jws)
    const base = openSession(old.jws)
    expect(
      (await judge({ work: base.work({ args }), state, reading: base.state })).refusal?.detail,
    ).toContain('expired')
    applyRecord(state, { t: 'session', sessionId: base.sessionId, offerHash: old.hash })
    const begun = state.sessions.get(base.sessionId)
    if (begun) begun.head.sequence = 1
    expect((await judge({ work: base.work({ args }), state, reading: base.state })).refusal).toBeNull()
  })
})

describe('a dispatch is refused before exec', () => {
  const base = session()
  const cases: [string, () => Partial<Dispatch>, string][] = [
    ['for a tool that is not here', () => ({ tool: 'other' }), 'tool_not_offered'],
    ['for another manifest of the tool', () => ({ manifestHash: sha256Hex('x') }), 'tool_not_offered'],
    [
      'for an argument that the tool does not have',
      () => ({ args: { text: 'a', more: 1 } }),
      'validation_failed',
    ],
    ['for a missing argument', () => ({ args: {} }), 'validation_failed'],
    ['for a value beyond its limit', () => ({ args: { text: 'x'.repeat(11) } }), 'validation_failed'],
    ['for a value that would be an option', () => ({ args: { text: '-rf' } }), 'validation_failed'],
    ['for an offer that is not ours', () => ({ offerHash: strangersOffer.hash }), 'receipt_mismatch'],
    ['for a lower rate than offered', () => ({ rateMicrosPerMinute: micros(1n) }), 'receipt_mismatch'],
    ['for a higher rate than offered', () => ({ rateMicrosPerMinute: micros(700_000n) }), 'receipt_mismatch'],
    ['for a deadline that the hold does not pay', () => ({ deadlineMs: 10_001 }), 'budget_exhausted'],
    ['for a voucher one micro-USDC too low', () => ({ voucher: base.voucher(99_999n) }), 'voucher_required'],
    ['for a voucher by another key', () => ({ voucher: session().voucher(1_000_000n) }), 'voucher_invalid'],
    [
      'for a voucher whose amount was raised after it was signed',
      () => ({ voucher: { ...base.voucher(1n), cumulativeMicros: micros(1_000_000n) } }),
      'voucher_invalid',
    ],
    [
      'for a channel that pays someone else',
      () => withChannel(base, { payee: `0x${'cc'.repeat(20)}` }),
      'voucher_invalid',
    ],
    ['for a channel on another chain', () => withChannel(base, { chainId: 1 }), 'voucher_invalid'],
    [
      'for a channel of another contract',
      () => withChannel(base, { escrow: `0x${'cc'.repeat(20)}` }),
      'voucher_invalid',
    ],
    [
      'for a channel of a worthless token',
      () => withChannel(base, { token: `0x${'cc'.repeat(20)}` }),
      'voucher_invalid',
    ],
    [
      'for a channel that belongs to another session, whose deposit would pay twice',
      () => withChannel(base, { salt: sessionSalt(session().sessionId) }),
      'voucher_invalid',
    ],
  ]
  test.each(cases)('%s', async (_title, change, code) => {
    const work = {
      ...session().work({ args }),
      ...base.work({ args, voucher: base.voucher(100_000n) }),
      ...change(),
    }
    const { refusal } = await judge({ work, reading: base.state })
    expect(refusal?.code).toBe(code)
  })

  test('for a voucher with the high-s twin of its signature', async () => {
    const voucher = base.voucher(1_000_000n)
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const s = (order - BigInt(`0x${voucher.signature.slice(66, 130)}`)).toString(16).padStart(64, '0')
    const v = voucher.signature.slice(130) === '1b' ? '1c' : '1b'
    const twin = { ...voucher, signature: `${voucher.signature.slice(0, 66)}${s}${v}` as Hex }
    const { refusal } = await judge({ work: base.work({ args, voucher: twin }), reading: base.state })
    expect(refusal).toMatchObject({ code: 'voucher_invalid', detail: expect.stringContaining('canonical') })
  })

  test('for a voucher that receipts and other open holds have used up', async () => {
    const state = stateWith(offer.jws)
    applyRecord(state, { t: 'session', sessionId: base.sessionId, offerHash: jwsHash(offer.jws) })
    const known = state.sessions.get(base.sessionId)
    if (known) known.head.cumulativeMicros = micros(50_000n)
    const given = { state, reading: base.state, openHoldsMicros: 30_000n }
    const enough = base.work({ args, voucher: base.voucher(180_000n) })
    expect((await judge({ ...given, work: enough })).refusal).toBeNull()
    const short = base.work({ args, voucher: base.voucher(179_999n) })
    expect((await judge({ ...given, work: short })).refusal?.code).toBe('voucher_required')
  })

  test('not for a lower voucher that an admitted dispatch with a higher one has overtaken', async () => {
    const state = stateWith(offer.jws)
    applyRecord(state, { t: 'session', sessionId: base.sessionId, offerHash: jwsHash(offer.jws) })
    const known = state.sessions.get(base.sessionId)
    if (known) known.voucher = base.voucher(200_000n)
    const given = { state, reading: base.state, openHoldsMicros: 100_000n }
    const overtaken = base.work({ args, voucher: base.voucher(100_000n) })
    expect((await judge({ ...given, work: overtaken })).refusal).toBeNull()
    const forged = { ...base.voucher(100_000n), cumulativeMicros: micros(99_999n) }
    const { refusal } = await judge({ ...given, work: base.work({ args, voucher: forged }) })
    expect(refusal?.code).toBe('voucher_invalid')
  })

  test.each(['ended', 'closed', 'forgotten'] as const)('for a session that is %s', async (t) => {
    const state = stateWith(offer.jws)
    applyRecord(state, { t: 'session', sessionId: base.sessionId, offerHash: jwsHash(offer.jws) })
    applyRecord(state, { t, sessionId: base.sessionId })
    const { refusal } = await judge({ work: base.work({ args }), state, reading: base.state })
    expect(refusal?.code).toBe('session_not_active')
  })

  const readings: [string, (state: ChannelState) => ChannelState | null, string][] = [
    ['a channel that is not on the chain', () => null, 'voucher_invalid'],
    ['another payee on the chain', (s) => ({ ...s, payee: `0x${'dd'.repeat(20)}` }), 'voucher_invalid'],
    [
      'another signer on the chain',
      (s) => ({ ...s, authorizedSigner: `0x${'dd'.repeat(20)}` }),
      'voucher_invalid',
    ],
    ['a closed channel', (s) => ({ ...s, finalized: true }), 'voucher_invalid'],
    ['a pending close', (s) => ({ ...s, closeRequestedAt: 1 }), 'voucher_invalid'],
    ['a deposit below the voucher', (s) => ({ ...s, depositMicros: micros(99_999n) }), 'insufficient_funds'],
  ]
  test.each(readings)('for %s', async (_title, change, code) => {
    const one = session()
    const reading = one.state && change(one.state)
    expect((await judge({ work: one.work({ args }), reading })).refusal?.code).toBe(code)
  })
})

test('holds add up exactly', () => {
  const works = [1n, 2n, 9_007_199_254_740_993n].map((hold) => ({ holdMicros: micros(hold) }))
  expect(sumHolds(works)).toBe(9_007_199_254_740_996n)
  expect(sumHolds([])).toBe(0n)
})
