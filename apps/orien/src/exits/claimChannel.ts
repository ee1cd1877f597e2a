import {
  type ChannelTerms,
  channelId,
  type Hex,
  least,
  micros,
  OrienError,
  splitCumulative,
  type UsdcMicros,
  type Voucher,
} from '@orien/protocol'
import { encodeClaimAndCloseWithAuthorization, readHead, readOperator } from '@orien/rails'
import { addressOfKey, checkVoucher, signClaim } from '@orien/sdk'
import { type ExitChain, type PaidChain, requireChain, sendExit, unavailable } from './connectExit.ts'
import { type ExitReport, reportExit } from './exitChannel.ts'

/** How long the signed claim can be relayed, in seconds. */
const CLAIM_LIFE_SECONDS = 3_600

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
 * Closes a channel at what its provider has earned: pays the provider, platform and reserve and refunds the agent.
 * Nothing is sent for one that is closed already.
 *
 * @param key of the payee or of its operator
 * @throws OrienError `forbidden` for another key, `voucher_invalid`, `not_found`, `insufficient_funds`, `chain_unavailable`
 */
export async function claimChannel(chain: PaidChain, claimable: Claimable, key: Hex): Promise<ClaimReport> {
  const { channel, voucher } = claimable
  await requireOperator(chain, channel, key)
  const before = await reportClaim(chain, claimable)
  if (before.phase === 'closed') return before
  const head = await readHead(chain.client, chain.profile)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  const { claimMicros } = before
  const deadline = head.latestSeconds + CLAIM_LIFE_SECONDS
  const claim = { channelId: channelId(channel), claimMicros, nonce: head.latestBlock, deadline }
  const claimSignature = signClaim(key, channel, 'ClaimAndClose', claim)
  const signed = { claim, claimSignature, voucher }
  const sent = await sendExit(chain, encodeClaimAndCloseWithAuthorization(channel.escrow, signed))
  const after = await reportClaim(chain, claimable)
  if (sent.status === 'reverted' && after.phase !== 'closed') {
    throw new OrienError('voucher_invalid', `The contract refuses the claim: ${sent.error} (${sent.detail})`)
  }
  return { ...after, transactions: sent.hash === null ? [] : [sent.hash] }
}

async function requireOperator(chain: ExitChain, { chainId, escrow, payee }: ChannelTerms, key: Hex) {
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
