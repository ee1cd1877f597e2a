import { type ChannelTerms, channelId, type Hex, micros, OrienError, type UsdcMicros } from '@orien/protocol'
import {
  type ChannelState,
  encodeDeliverCredit,
  encodeRequestCloseWithAuthorization,
  encodeWithdraw,
  readChannel,
  readCloseGrace,
  readCredit,
  readHead,
} from '@orien/rails'
import { addressOfKey, signRequestClose } from '@orien/sdk'
import { type ExitChain, type PaidChain, requireChain, sendExit, unavailable } from './connectExit.ts'

/** How long a signed request to close can be relayed, in seconds: only as long as this command needs. */
const REQUEST_LIFE_SECONDS = 3_600
/** Looks at one channel: others may move it between our look and our step, but not for ever. */
const MAX_LOOKS = 5

/** Where a channel's money is. Amounts in micro-USDC, instants in Unix seconds of the chain. */
export type ExitReport = {
  channelId: Hex
  phase: 'open' | 'closing' | 'closed'
  depositMicros: UsdcMicros
  /** Paid to provider, platform and reserve so far. */
  settledMicros: UsdcMicros
  /** What is not paid out: refunded when `closed`, else what comes back if nothing more is claimed. */
  refundMicros: UsdcMicros
  /** When the refund can be withdrawn; null unless `closing`. */
  withdrawableAt: number | null
  chainSeconds: number
  /** What the token refused to pay to the wallet and the contract keeps for it. */
  creditMicros: UsdcMicros
  /** Sent by this command. */
  transactions: Hex[]
}

/**
 * Reads where a channel's money is; sends nothing.
 *
 * @throws OrienError `not_found` when there is no such channel, `chain_unavailable`
 */
export async function reportExit(chain: ExitChain, channel: ChannelTerms): Promise<ExitReport> {
  const { client, profile } = chain
  requireChain(chain, channel.chainId)
  const id = channelId(channel)
  const [reading, head, grace, credit] = await Promise.all([
    readChannel(client, channel.escrow, id),
    readHead(client, profile),
    readCloseGrace(client, channel.escrow),
    readCredit(client, channel.escrow, channel.payer),
  ])
  if (reading.status === 'unreachable') throw await missingContract(chain, channel, reading.detail)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  if (grace.status === 'unreachable') throw unavailable(grace.detail)
  if (credit.status === 'unreachable') throw unavailable(credit.detail)
  if (reading.status === 'absent') {
    throw new OrienError('not_found', `No channel ${id} is on chain ${channel.chainId}`, {
      hint: 'Its deposit never reached the chain, so nothing left the wallet; or this chain was begun anew.',
    })
  }
  const times = { chainSeconds: head.latestSeconds, graceSeconds: Number(grace.seconds) }
  return toReport(id, reading.channel, times, credit.micros)
}

/** An address without code answers nothing, which looks like a chain that does not. */
async function missingContract({ client }: ExitChain, { escrow, chainId }: ChannelTerms, detail: string) {
  const code = await client.getCode({ address: escrow }).catch(() => '0x01')
  if (code !== undefined && code !== '0x') return unavailable(detail)
  return new OrienError('not_found', `There is no contract at ${escrow} on chain ${chainId}`, {
    hint: 'Give --rpc-url an endpoint of the chain that the deposit was made on.',
  })
}

function toReport(
  id: Hex,
  channel: ChannelState,
  { chainSeconds, graceSeconds }: { chainSeconds: number; graceSeconds: number },
  credit: bigint,
): ExitReport {
  const { phase, depositMicros, settledMicros, closeRequestedAt } = channel
  const isClosing = phase === 'closing' && closeRequestedAt !== null
  return {
    channelId: id,
    phase: phase === 'finalized' ? 'closed' : phase,
    depositMicros: micros(depositMicros),
    settledMicros: micros(settledMicros),
    refundMicros: micros(depositMicros - settledMicros),
    withdrawableAt: isClosing ? closeRequestedAt + graceSeconds : null,
    chainSeconds,
    creditMicros: micros(credit),
    transactions: [],
  }
}

/**
 * Takes every step out of a channel that can be taken now: asks for its close, withdraws when the grace period is over,
 * fetches a credit. Steps that somebody else has taken are not taken again.
 *
 * @param key of the channel's payer or of its session key
 * @throws OrienError `forbidden` for another key, `not_found`, `insufficient_funds`, `chain_unavailable`
 */
export async function exitChannel(chain: PaidChain, channel: ChannelTerms, key: Hex): Promise<ExitReport> {
  requireParty(channel, key)
  const transactions: Hex[] = []
  let report = await reportExit(chain, channel)
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const call = await nextCall(chain, channel, key, report)
    if (call === null) break
    const sent = await sendExit(chain, call)
    if (sent.status === 'mined') transactions.push(sent.hash)
    else if (sent.hash !== null) transactions.push(sent.hash)
    // Not yet, or the token still refuses: what can be said is said by the report.
    else if (sent.error === 'CloseNotReady' || sent.error === 'TokenRefused') break
    report = await reportExit(chain, channel)
  }
  return { ...report, transactions }
}

async function nextCall({ client, profile }: ExitChain, channel: ChannelTerms, key: Hex, report: ExitReport) {
  const { escrow } = channel
  const id = report.channelId
  if (report.phase === 'closing') return encodeWithdraw(escrow, id)
  if (report.phase === 'closed')
    return report.creditMicros > 0n ? encodeDeliverCredit(escrow, channel.payer) : null
  const head = await readHead(client, profile)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  // The block's number is new for every request that the chain has not seen yet, and needs no chance.
  const request = {
    channelId: id,
    nonce: head.latestBlock,
    deadline: head.latestSeconds + REQUEST_LIFE_SECONDS,
  }
  const signature = signRequestClose(key, channel, request)
  return encodeRequestCloseWithAuthorization(escrow, { ...request, signature })
}

function requireParty(channel: ChannelTerms, key: Hex): void {
  const address = addressOfKey(key)
  if (address === channel.payer || address === channel.authorizedSigner) return
  throw new OrienError('forbidden', `${address} is neither the payer nor the session key of this channel`, {
    hint: `Nothing was sent. Give --key-file the key of ${channel.payer}.`,
  })
}
