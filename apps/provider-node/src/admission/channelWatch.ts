import { type ChannelTerms, channelId, OrienError, type Voucher } from '@orien/protocol'
import { type ChannelState, checkChannel } from '@orien/sdk'
import { type Clock, pause } from '../clock.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { Refusal } from './checkDispatch.ts'

/** Reads a channel by the node's own way; null when there is none. @throws OrienError `chain_unavailable` */
export type ReadChannel = (terms: ChannelTerms) => Promise<ChannelState | null>

/** Readings of channels, remembered for a short while. */
export type ChannelWatch = {
  /** Asks the chain until it shows a channel that covers the voucher, or the patience for that is over. */
  check(terms: ChannelTerms, voucher: Voucher): Promise<Refusal | null>
  /** The chain as it is now. @throws OrienError `chain_unavailable` */
  read(terms: ChannelTerms): Promise<ChannelState | null>
  forget(terms: ChannelTerms): void
}

function refusalOf(terms: ChannelTerms, voucher: Voucher, reading: ChannelState | null): Refusal | null {
  const checked = checkChannel(reading, terms, voucher)
  return checked.ok ? null : { code: checked.code, detail: checked.detail }
}

type Attempt = { refusal: Refusal | null; mayChange: boolean }

const isOnlyTooShallow = (reading: ChannelState, voucher: Voucher) =>
  !reading.finalized && reading.closeRequestedAt === 0 && reading.depositMicros < voucher.cumulativeMicros

/**
 * A good reading may be trusted for {@link Timing.channelFreshMs}, counted from when the chain was asked: a deposit only
 * grows until the channel closes, and a close that is requested right after the reading takes effect only after the
 * contract's grace period, which is far longer. A channel in use is read again when half of that time is over, so that
 * no run waits for the chain.
 */
export function watchChannels(
  readChannel: ReadChannel,
  clock: Clock,
  timing: Pick<Timing, 'channelFreshMs' | 'channelWaitMs' | 'channelRetryMs'>,
  signal: AbortSignal,
): ChannelWatch {
  const readings = new Map<string, { reading: ChannelState; atMs: number }>()

  /** One at a time for a channel: an older answer must not take the place of a newer one. */
  const asking = new Map<string, Promise<ChannelState | null>>()

  async function ask(id: string, terms: ChannelTerms): Promise<ChannelState | null> {
    const atMs = clock.monotonicMs()
    const reading = await readChannel(terms)
    readings.delete(id)
    const [oldest] = readings.keys()
    if (oldest !== undefined && readings.size >= NODE_LIMITS.channelReadings) readings.delete(oldest)
    if (reading) readings.set(id, { reading, atMs })
    return reading
  }

  function read(terms: ChannelTerms): Promise<ChannelState | null> {
    const id = channelId(terms)
    const asked = asking.get(id) ?? ask(id, terms).finally(() => asking.delete(id))
    asking.set(id, asked)
    return asked
  }

  async function attempt(terms: ChannelTerms, voucher: Voucher): Promise<Attempt> {
    try {
      const reading = await read(terms)
      const refusal = refusalOf(terms, voucher, reading)
      return { refusal, mayChange: reading === null || isOnlyTooShallow(reading, voucher) }
    } catch (error) {
      if (!(error instanceof OrienError)) throw error
      return { refusal: { code: error.code, detail: error.message }, mayChange: true }
    }
  }

  return {
    read,
    forget: (terms) => void readings.delete(channelId(terms)),
    check: async (terms, voucher) => {
      const known = readings.get(channelId(terms))
      const ageMs = known ? clock.monotonicMs() - known.atMs : timing.channelFreshMs
      if (known && ageMs < timing.channelFreshMs && !refusalOf(terms, voucher, known.reading)) {
        // A chain that does not answer shows when the time is over.
        if (ageMs * 2 >= timing.channelFreshMs) read(terms).catch(() => {})
        return null
      }
      const giveUpAtMs = clock.monotonicMs() + timing.channelWaitMs
      for (;;) {
        const { refusal, mayChange } = await attempt(terms, voucher)
        // The coordinator may see a deposit a block earlier than our own RPC does.
        if (!refusal || !mayChange || signal.aborted || clock.monotonicMs() >= giveUpAtMs) return refusal
        await pause(clock, timing.channelRetryMs, signal)
      }
    },
  }
}
