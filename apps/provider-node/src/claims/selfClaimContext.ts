import type { ErrorCode, Hex, UsdcMicros } from '@orien/protocol'
import type { Sender } from '@orien/sdk'
import type { ChannelWatch } from '../admission/channelWatch.ts'
import type { Clock } from '../clock.ts'
import type { EarningsBook } from '../earnings/book.ts'
import type { Timing } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Operator } from '../signer/client.ts'
import type { Claimant } from './answerClaim.ts'
import type { ClaimChain } from './claimChain.ts'
import type { Heard } from './heard.ts'

/** What a node needs to be paid when nobody helps it. */
export type SelfClaimContext = {
  claimant: () => Claimant
  operator: Operator
  chain: ClaimChain
  channels: ChannelWatch
  earnings: Pick<EarningsBook, 'note'>
  heard: Heard
  isLive(): boolean
  clock: Clock
  timing: Pick<Timing, 'claimPatienceMs' | 'claimSilenceMs' | 'claimEveryMs'>
  /** What the owner lets stand unclaimed, where that was said. */
  unclaimedMicros?: UsdcMicros | undefined
  log: Log
}

/** How the node stands on its own; amounts are decimal strings. */
export type SelfClaimStatus = {
  /** Whose native coin pays the gas. */
  operator: Hex
  balanceWei?: string
  silentMs: number
  /** Why it could not claim what it had to, or could not if it had to now. */
  fault?: { code: ErrorCode; detail: string }
  /** The last transaction of its own. */
  last?: { at: string; hash: Hex; status: string; sessions: number; claimedMicros: string }
}

/** What is remembered between two looks. */
export type Memory = {
  /** Sessions whose channels are closed: nothing can be claimed of them. */
  closed: Set<string>
  seen: Omit<SelfClaimStatus, 'operator' | 'silentMs'>
  /** What open channels have paid, by session. */
  paid: Map<string, UsdcMicros>
  /** On the monotonic clock: from when on something was earned and not claimed. */
  unclaimedFromMs?: number
  graceSeconds?: number
  /** Sessions that were worth less than their gas. */
  left?: number
  /** What the last transaction was signed with; one that takes its nonce has to pay more. */
  sent?: Pick<Sender, 'nonce' | 'maxFeePerGas' | 'maxPriorityFeePerGas'>
}
