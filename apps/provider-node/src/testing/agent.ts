import {
  type ChannelTerms,
  channelId,
  type Dispatch,
  deadlineMs,
  decodeJws,
  type Hex,
  type Id,
  jwsHash,
  makeId,
  micros,
  type Offer,
  offer as offerSchema,
  sessionSalt,
  type Voucher,
  voucherDigest,
} from '@orien/protocol'
import { addressOfKey, type ChannelState, signDigest } from '@orien/sdk'
import type { ReadChannel } from '../admission/channelWatch.ts'
import { systemRandom } from '../random.ts'

const hex = (bytes: number) => `0x${Buffer.from(systemRandom.bytes(bytes)).toString('hex')}` as Hex

/** An agent with one session: what a real one would sign, and what its coordinator would make of it. */
export type TestSession = {
  sessionId: Id<'session'>
  channel: ChannelTerms
  /** The channel as the chain has it; tests change it as they like. Null before it is opened. */
  state: ChannelState | null
  voucher(cumulativeMicros: bigint): Voucher
  /** A sound dispatch, but for what is given. */
  work(given?: Partial<Dispatch>): Dispatch
}

export const HOLD = micros(100_000n)

/** Reads an offer as a coordinator stores it. */
function readOffer(jws: string): Offer {
  return offerSchema.decode(
    decodeJws('orien-offer+jws', jws)?.payload as Parameters<typeof offerSchema.decode>[0],
  )
}

export function openSession(offerJws: string, depositMicros = 10_000_000n): TestSession {
  const offer = readOffer(offerJws)
  const sessionId = makeId('session', Date.now(), systemRandom.bytes(10))
  const sessionKey = hex(32)
  const { chainId, escrow, token, payout: payee } = offer
  const authorizedSigner = addressOfKey(sessionKey)
  const channel = {
    chainId,
    escrow,
    token,
    payee,
    payer: hex(20),
    authorizedSigner,
    salt: sessionSalt(sessionId),
  }
  const voucher = (cumulative: bigint): Voucher => {
    const cumulativeMicros = micros(cumulative)
    return {
      cumulativeMicros,
      signature: signDigest(sessionKey, voucherDigest(channel, channelId(channel), cumulativeMicros)),
    }
  }
  let grant = 0
  return {
    sessionId,
    channel,
    state: {
      ...channel,
      depositMicros: micros(depositMicros),
      settledMicros: micros(0n),
      closeRequestedAt: 0,
      finalized: false,
    },
    voucher,
    work: (given = {}) => {
      grant += 1
      const tool = given.tool ?? 'echo'
      const holdMicros = given.holdMicros ?? HOLD
      return {
        executionId: makeId('execution', Date.now(), systemRandom.bytes(10)),
        sessionId,
        tool,
        manifestHash: offer.tools.find(({ id }) => id === tool)?.manifestHash ?? '',
        args: {},
        argumentsSalt: hex(32),
        grant,
        holdMicros,
        deadlineMs: deadlineMs(holdMicros, offer.rateMicrosPerMinute),
        rateMicrosPerMinute: offer.rateMicrosPerMinute,
        offerHash: jwsHash(offerJws),
        channel,
        voucher: voucher(HOLD * BigInt(grant)),
        ...given,
      }
    },
  }
}

/** A chain with the channels of some sessions on it. */
export function chainOf(sessions: readonly TestSession[]): ReadChannel {
  return async (terms) => {
    const session = sessions.find(({ channel }) => channelId(channel) === channelId(terms))
    return session?.state ? { ...session.state } : null
  }
}
