export type { Answer, Unreachable } from './chain/ask.ts'
export {
  type ChainName,
  type ChainProfile,
  chains,
  type FeePolicy,
  type Finality,
  type OtherChain,
  otherChain,
} from './chain/chains.ts'
export { type ChainClient, connectAnyChain, connectChain, rpcUrls } from './chain/connect.ts'
export type { RefusedEndpoint } from './chain/failover.ts'
export { CHAIN_LIMITS } from './chain/limits.ts'
export { type GasReading, readChainId, readGasBalance, readGasPrice } from './chain/readGas.ts'
export { finalBlockAt, type Head, readHead } from './chain/readHead.ts'
export type { ContractCall } from './escrow/contractCall.ts'
export { type DeploymentPlace, deployEscrow, type EscrowDeployment } from './escrow/deployEscrow.ts'
export { channelsOfBatch, encodeBatch, encodeTryAll, type SignedBatch } from './escrow/encodeBatch.ts'
export {
  encodeClaimAndCloseWithAuthorization,
  encodeClaimWithAuthorization,
  encodeForfeitWithAuthorization,
  type SignedClaim,
} from './escrow/encodeClaim.ts'
export {
  encodeOpenWithAuthorization,
  encodeTopUpWithAuthorization,
  type TopUp,
} from './escrow/encodeDeposit.ts'
export {
  encodeDeliverCredit,
  encodeRequestCloseWithAuthorization,
  encodeWithdraw,
  type SignedCloseRequest,
} from './escrow/encodeExit.ts'
export { encodeSetOperatorWithAuthorization } from './escrow/encodeSetOperator.ts'
export { encodeTransferWithAuthorization } from './escrow/encodeTransfer.ts'
export { type EscrowTerms, escrowDeployment } from './escrow/escrowDeployment.ts'
export { type FoundChannel, findChannels } from './escrow/findChannels.ts'
export {
  BATCH_COSTS,
  BATCH_LIMITS,
  type BatchCandidate,
  type BatchLimits,
  type BatchPlan,
  mostGasOf,
  planBatches,
} from './escrow/planBatches.ts'
export { type Arrival, readArrival, type SignedTransfer } from './escrow/readArrival.ts'
export { type AmountReading, readBalance, readCredit } from './escrow/readBalance.ts'
export {
  type BatchOutcome,
  type BatchSimulation,
  readBatchLogs,
  readBatchOutcome,
  simulateBatch,
  simulateBatchCall,
} from './escrow/readBatch.ts'
export { type ChannelReading, type ChannelState, readChannel } from './escrow/readChannel.ts'
export { readCloseGrace } from './escrow/readCloseGrace.ts'
export {
  type ChannelPayout,
  type CloseRequested,
  readCloseRequests,
  readCloses,
  readPayouts,
} from './escrow/readCloseRequests.ts'
export { type EscrowReading, readEscrowTerms } from './escrow/readEscrowTerms.ts'
export { type Holdings, readHoldings } from './escrow/readHoldings.ts'
export { type Opening, readOpenedChannels, readOpening } from './escrow/readOpening.ts'
export { readOperator } from './escrow/readOperator.ts'
export {
  type BlockRange,
  type Payout,
  readSettlement,
  type Settlement,
  type SettlementReading,
} from './escrow/readSettlement.ts'
export { readTokenDomain, type TokenDomainReading } from './escrow/readTokenDomain.ts'
export { readTransfer } from './escrow/readTransfer.ts'
export { type CallError, explainRevert, type Simulation, simulateCall } from './escrow/simulateCall.ts'
export { localAccounts } from './localChain/accounts.ts'
export { localUsdc } from './localChain/deployUsdc.ts'
export { localFees } from './localChain/limits.ts'
export {
  attachLocalChain,
  type LocalChain,
  type LocalChainOptions,
  startLocalChain,
} from './localChain/localChain.ts'
export { type ConfiguredChain, checkChain } from './preflight/checkChain.ts'
export { checkEndpoints } from './preflight/checkEndpoints.ts'
export { CHAIN_FAULTS, type ChainFaultCode, type ChainFinding } from './preflight/finding.ts'
export { type Broadcast, broadcast } from './transactions/broadcast.ts'
export { type Fees, type GasPrice, raiseFees, readFees, readMarketFees } from './transactions/readFees.ts'
export { type Nonces, readNonceAt, readNonces } from './transactions/readNonces.ts'
export { readTransaction, type TransactionState } from './transactions/readTransaction.ts'
export { type Sent, sendCall } from './transactions/sendCall.ts'
export {
  openSigner,
  type SignedTransaction,
  type Signer,
  signerFromPrivateKey,
  type TransactionPlan,
} from './transactions/signer.ts'
export { priceOf, signReplacement } from './transactions/signReplacement.ts'
