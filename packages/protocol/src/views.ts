import { z } from 'zod'
import { address, bytes32, sha256Schema } from './bytes.ts'
import { channelTerms } from './channel.ts'
import { executionStatus, failureReason } from './execution.ts'
import { agentId, executionId, keyId, paymentId, providerId, sessionId } from './ids.ts'
import { toolId, toolLimits } from './manifest.ts'
import { usdcMicros } from './money.ts'
import { sessionStatus } from './session.ts'
import { transactionStatus } from './settlement.ts'
import { instant } from './time.ts'

/** Where a session's money is on its way to provider and agent. */
export const settlementView = z.strictObject({
  status: z.union([transactionStatus, z.literal('awaiting_claim')]),
  txHash: bytes32.optional(),
  blockNumber: z.int().min(0).optional(),
  claimMicros: usdcMicros,
  providerMicros: usdcMicros,
  platformMicros: usdcMicros,
  reserveMicros: usdcMicros,
  refundedMicros: usdcMicros,
})
/** See {@link settlementView}. */
export type SettlementView = z.output<typeof settlementView>

/** What an agent has to sign for: where the money goes and under which token. */
export const paymentTerms = z.strictObject({
  chainId: z.int().positive(),
  escrow: address,
  token: address,
  tokenName: z.string(),
  tokenVersion: z.string(),
  payee: address,
  salt: bytes32,
  closeGraceMs: z.int().min(0),
  minimumDepositMicros: usdcMicros,
})
/** See {@link paymentTerms}. */
export type PaymentTerms = z.output<typeof paymentTerms>

/** A session. `budget = consumed + held + remaining`. */
export const sessionView = z.strictObject({
  id: sessionId,
  agentId,
  providerId,
  status: sessionStatus,
  rail: z.literal('escrow'),
  /** Paid from the agent's balance at the coordinator, which holds the session key: no voucher is asked for. */
  custodial: z.boolean().optional(),
  mission: z.string().optional(),
  rateMicrosPerMinute: usdcMicros,
  budgetMicros: usdcMicros,
  consumedMicros: usdcMicros,
  heldMicros: usdcMicros,
  remainingMicros: usdcMicros,
  /** Highest cumulative voucher that was accepted. */
  authorisedMicros: usdcMicros,
  /** Runs that may take long are granted in steps of this; absent: in one grant. */
  stepMicros: usdcMicros.optional(),
  /** Sum of the billed effective time of all runs. */
  effectiveMs: z.int().min(0),
  executions: z.int().min(0),
  offer: z.string(),
  payment: paymentTerms,
  channel: channelTerms.optional(),
  channelId: bytes32.optional(),
  channelStatus: z.enum(['none', 'opening', 'open', 'closing', 'closed', 'failed']),
  settlement: settlementView.optional(),
  createdAt: instant,
  startedAt: instant.optional(),
  endedAt: instant.optional(),
})
/** See {@link sessionView}. */
export type SessionView = z.output<typeof sessionView>

/** A run, its result and its price. */
export const executionView = z.strictObject({
  id: executionId,
  sessionId,
  providerId,
  tool: toolId,
  status: executionStatus,
  reason: failureReason.optional(),
  exitCode: z.int().nullable(),
  grant: z.int().positive(),
  /** What its grant is worth; of a run that goes in steps, the present one. */
  holdMicros: usdcMicros,
  deadlineMs: z.int().min(0),
  /** Its grant may be raised to this by further vouchers; absent for a run with one grant. */
  mostMicros: usdcMicros.optional(),
  limits: toolLimits,
  effectiveMs: z.int().min(0),
  cpuMs: z.int().min(0),
  maxRssBytes: z.int().min(0),
  /** Moved by read and write calls of the whole tree; absent where the node's driver does not count it. */
  readBytes: z.int().min(0).optional(),
  writtenBytes: z.int().min(0).optional(),
  costMicros: usdcMicros,
  /** With `argumentsHash` of the receipt, proves what was asked for. */
  argumentsSalt: bytes32,
  /** First 64 KiB of the output; the logs have all of it. */
  stdout: z.string().optional(),
  stderr: z.string().optional(),
  outputTruncated: z.boolean().optional(),
  /** The node's signed receipt and the coordinator's countersignature. */
  receipt: z.string().optional(),
  countersignature: z.string().optional(),
  dispute: z.strictObject({ code: z.string(), detail: z.string() }).optional(),
  createdAt: instant,
  startedAt: instant.optional(),
  endedAt: instant.optional(),
})
/** See {@link executionView}. */
export type ExecutionView = z.output<typeof executionView>

/** A file of a workspace. */
export const fileView = z.strictObject({
  name: z.string(),
  bytes: z.int().min(0),
  modifiedAt: instant,
  /** Of its content, lower-case hex; absent for what a node does not hash for a list, because there is so much of it. */
  sha256: z.string().optional(),
})
/** See {@link fileView}. */
export type FileView = z.output<typeof fileView>

/** Money that moved, or is moving. */
export const paymentView = z.strictObject({
  id: paymentId,
  operation: z.enum([
    'deposit',
    'topUp',
    'settle',
    'requestClose',
    'authorise_operator',
    'custodialDeposit',
    'withdraw',
  ]),
  sessionId: sessionId.optional(),
  amountMicros: usdcMicros,
  status: transactionStatus,
  txHash: bytes32.optional(),
  createdAt: instant,
})
/** See {@link paymentView}. */
export type PaymentView = z.output<typeof paymentView>

/**
 * Money that the coordinator keeps for an agent which pays by API key. Custodial: unlike a session that is paid from
 * the wallet, it comes back only by the coordinator, and is capped for that.
 */
export const balanceView = z.strictObject({
  custodial: z.literal(true),
  /** Free for new sessions and withdrawals. */
  availableMicros: usdcMicros,
  /** Set aside for sessions whose channel is not open yet. */
  committedMicros: usdcMicros,
  /** On its way back to the wallet. */
  withdrawingMicros: usdcMicros,
  /** In the channels of its sessions; what they do not use comes back here. Counts towards the cap. */
  inSessionsMicros: usdcMicros,
  capMicros: usdcMicros,
  /** Where deposits go: sign an EIP-3009 `TransferWithAuthorization` of this token to this address. */
  deposit: z.strictObject({
    chainId: z.int().positive(),
    token: address,
    tokenName: z.string(),
    tokenVersion: z.string(),
    to: address,
  }),
})
/** See {@link balanceView}. */
export type BalanceView = z.output<typeof balanceView>

/** One line of a provider's statement. */
export const earningView = z.strictObject({
  sessionId,
  executionId,
  tool: toolId,
  effectiveMs: z.int().min(0),
  costMicros: usdcMicros,
  receiptHash: sha256Schema,
  settlementTx: bytes32.optional(),
  settledAt: instant.optional(),
  recordedAt: instant,
})

/** An API key as it is listed; the secret is shown once, when it is made. */
export const apiKeyView = z.strictObject({
  id: keyId,
  name: z.string(),
  scopes: z.array(z.enum(['read', 'spend'])),
  spendCapMicros: usdcMicros,
  spentMicros: usdcMicros,
  createdAt: instant,
  expiresAt: instant.optional(),
})
