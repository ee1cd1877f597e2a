import type { UsdcMicros } from '@orien/protocol'
import type { ChannelState } from '@orien/sdk'

/** When a node looks at what it has earned. */
export type Moment = {
  /** Unix seconds: the chain's, or ours where its last block is old. */
  nowSeconds: number
  /** Of the escrow: how long after a requested close the payer may take back what is not claimed. */
  graceSeconds: number
  /** The coordinator is away, for longer than a restart takes. */
  isAlone: boolean
  /** It has not been heard for as long as the owner wants to wait. */
  isAbandoned: boolean
}

/** Why a node claims by itself. */
export type ClaimReason = 'close_requested' | 'coordinator_silent'

/**
 * Whether a provider has to claim by itself what it has earned in a channel. A coordinator that is there is given half
 * of the grace period to do it: whatever it says, the other half is the provider's.
 *
 * @param earnedMicros what the node would close the channel at
 */
export function claimDue(
  { depositMicros, settledMicros, closeRequestedAt, finalized }: ChannelState,
  earnedMicros: UsdcMicros,
  { nowSeconds, graceSeconds, isAlone, isAbandoned }: Moment,
): ClaimReason | null {
  // Without a deposit, or below what is paid already, a close would pay nothing.
  if (finalized || earnedMicros <= settledMicros || depositMicros < earnedMicros) return null
  if (closeRequestedAt > 0 && (isAlone || nowSeconds >= closeRequestedAt + graceSeconds / 2))
    return 'close_requested'
  return isAbandoned ? 'coordinator_silent' : null
}
