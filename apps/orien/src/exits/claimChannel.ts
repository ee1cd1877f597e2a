import {
  type ChannelTerms,
  type Hex,
  least,
  micros,
  OrienError,
  splitCumulative,
  type UsdcMicros,
  type Voucher,
} from '@orien/protocol'
import { readOperator } from '@orien/rails'
import { addressOfKey, checkVoucher } from '@orien/sdk'
import { type ExitChain, requireChain, unavailable } from './connectExit.ts'
import { type ExitReport, reportExit } from './exitChannel.ts'

/** What a provider has earned in one session, and the voucher that covers it. */
export type Claimable = { channel: ChannelTerms; voucher: Voucher; earnedMicros: UsdcMicros }

/** Where a provider's money of one session is. Amounts in micro-USDC. */
export type ClaimReport = {
  channelId: Hex
  phase: ExitReport['phase']
  earnedMicros: UsdcMicros
  /** What can be claimed: what was earned, as far as voucher and deposit go. */
  claimMicros: UsdcMicros
  /** The provider's share of what the channel has paid. */
  paidMicros: UsdcMicros
  /** From when on the agent may take back what is not claimed, in Unix seconds; null while it has not asked. */
  claimBefore: number | null
  chainSeconds: number
  transactions: Hex[]
}

/**
 * Reads where a provider's money is; sends nothing.
 *
 * @throws OrienError `voucher_invalid`, `not_found`, `chain_unavailable`
 */
export async function reportClaim(chain: ExitChain, claimable: Claimable): Promise<ClaimReport> {
  const { channel, voucher, earnedMicros } = claimable
  const checked = checkVoucher(channel, voucher, micros(0n))
  if (!checked.ok) throw new OrienError(checked.code, checked.detail)
  const { phase, depositMicros, settledMicros, withdrawableAt, chainSeconds, ...rest } = await reportExit(
    chain,
    channel,
  )
  return {
    channelId: rest.channelId,
    phase,
    earnedMicros,
    claimMicros: least(earnedMicros, voucher.cumulativeMicros, depositMicros),
    paidMicros: splitCumulative(settledMicros).providerMicros,
    claimBefore: withdrawableAt,
    chainSeconds,
    transactions: [],
  }
}

/**
 * Makes sure that a key may claim in a channel.
 *
 * @throws OrienError `forbidden`, `chain_unavailable`
 */
export async function requireOperator(
  chain: ExitChain,
  { chainId, escrow, payee }: ChannelTerms,
  key: Hex,
): Promise<void> {
  requireChain(chain, chainId)
  const address = addressOfKey(key)
  if (address === payee) return
  const reading = await readOperator(chain.client, escrow, payee, address)
  if (reading.status === 'unreachable') throw unavailable(reading.detail)
  if (reading.status === 'allowed') return
  throw new OrienError(
    'forbidden',
    `${address} is neither the payee ${payee} nor its operator on this chain`,
    {
      hint: `Nothing was sent. Give --key-file the key of ${payee}, or of an operator that it has allowed.`,
    },
  )
}
