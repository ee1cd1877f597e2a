import type { UsdcMicros } from '@orien/protocol'
import type { Tracing } from '@orien/tracing'
import type { ReadChannel } from '../admission/channelWatch.ts'
import type { ProveEscrow } from '../admission/escrowProof.ts'
import type { ClaimChain } from '../claims/claimChain.ts'
import type { Heard } from '../claims/heard.ts'
import type { Clock } from '../clock.ts'
import type { EarningsBook } from '../earnings/book.ts'
import type { NodeKeys } from '../identity/keys.ts'
import type { Provider } from '../identity/providerFile.ts'
import type { Journal } from '../journal/journal.ts'
import type { Timing } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Random } from '../random.ts'
import type { RuleBook } from '../rules/ruleBook.ts'
import type { History } from '../run/history.ts'
import type { Operator } from '../signer/client.ts'
import type { ToolStage } from '../stage.ts'

/** What it takes to work for strangers. */
export type ProvideContext = {
  provider: Provider
  keys: NodeKeys
  signer: Operator
  journal: Journal
  stage: ToolStage
  rules: RuleBook
  earnings: EarningsBook
  coordinatorUrl: string
  readChannel: ReadChannel
  proveEscrow: ProveEscrow
  /** Absent where channels are read in another way than by an RPC. */
  claimChain: ClaimChain | undefined
  heard: Heard
  /** What the owner lets stand unclaimed, where that was said. */
  unclaimedMicros: UsdcMicros | undefined
  history: History
  clock: Clock
  random: Random
  timing: Timing
  tracing: Tracing
  log: Log
}
