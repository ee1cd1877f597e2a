import { micros } from '@orien/protocol'
import type { ChannelState } from '@orien/sdk'
import { describe, expect, test } from 'vitest'
import { claimDue, type Moment } from './claimDue.ts'

const who = `0x${'11'.repeat(20)}` as const
const ASKED = 1_000
const GRACE = 900
const EARNED = micros(500n)

const channel = (given: Partial<ChannelState> = {}): ChannelState => ({
  payer: who,
  payee: who,
  token: who,
  authorizedSigner: who,
  depositMicros: micros(1_000n),
  settledMicros: micros(0n),
  closeRequestedAt: 0,
  finalized: false,
  ...given,
})
const moment = (given: Partial<Moment> = {}): Moment => ({
  nowSeconds: ASKED + 1,
  graceSeconds: GRACE,
  isAlone: false,
  isAbandoned: false,
  ...given,
})
const asked = channel({ closeRequestedAt: ASKED })

describe('a node claims by itself', () => {
  test('at once when a close is asked for and the coordinator is away', () => {
    expect(claimDue(asked, EARNED, moment({ isAlone: true }))).toBe('close_requested')
  })

  test('when half of the grace period is over, whatever a coordinator that is there says', () => {
    expect(claimDue(asked, EARNED, moment({ nowSeconds: ASKED + GRACE / 2 - 1 }))).toBeNull()
    expect(claimDue(asked, EARNED, moment({ nowSeconds: ASKED + GRACE / 2 }))).toBe('close_requested')
  })

  test('also after the grace period, as long as nobody has withdrawn', () => {
    expect(claimDue(asked, EARNED, moment({ nowSeconds: ASKED + 10 * GRACE }))).toBe('close_requested')
  })

  test('when nobody has asked, only after the silence that its owner has chosen', () => {
    expect(claimDue(channel(), EARNED, moment({ isAlone: true }))).toBeNull()
    expect(claimDue(channel(), EARNED, moment({ isAlone: true, isAbandoned: true }))).toBe(
      'coordinator_silent',
    )
  })
})

describe('a node sends nothing', () => {
  const due = moment({ isAlone: true, isAbandoned: true })

  test.each([
    ['for a channel that is closed', channel({ finalized: true }), EARNED],
    ['for what is paid already', channel({ settledMicros: EARNED }), EARNED],
    ['for a session that earned nothing', channel(), micros(0n)],
    [
      'for more than was deposited, which the contract would refuse',
      channel({ depositMicros: micros(499n) }),
      EARNED,
    ],
  ])('%s', (_, state, earned) => {
    expect(claimDue({ ...state, closeRequestedAt: ASKED }, earned, due)).toBeNull()
  })
})
