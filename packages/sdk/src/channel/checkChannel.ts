import type { ChannelTerms, Voucher } from '@orien/protocol'
import type { Checked } from './checkVoucher.ts'
import type { ChannelState } from './readChannelState.ts'

/**
 * Whether a channel on the chain really secures a voucher: it exists, is the one of the terms, covers the voucher's
 * amount, is not closed and nobody has asked for its close.
 *
 * @param state from `readChannelState`; null when there is no such channel
 * @returns `voucher_invalid` or `insufficient_funds`
 */
export function checkChannel(state: ChannelState | null, terms: ChannelTerms, voucher: Voucher): Checked {
  const refuse = (detail: string): Checked => ({ ok: false, code: 'voucher_invalid', detail })
  if (!state) return refuse('the channel does not exist on the chain')
  for (const name of ['payer', 'payee', 'token', 'authorizedSigner'] as const) {
    if (state[name] !== terms[name]) return refuse(`the channel on the chain has another ${name}`)
  }
  if (state.finalized) return refuse('the channel is closed')
  if (state.closeRequestedAt !== 0) return refuse('the payer has asked for the channel’s close')
  if (state.depositMicros < voucher.cumulativeMicros) {
    return {
      ok: false,
      code: 'insufficient_funds',
      detail: `the deposit of ${state.depositMicros} does not cover the voucher of ${voucher.cumulativeMicros}`,
    }
  }
  return { ok: true }
}
