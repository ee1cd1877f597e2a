import { sql } from 'drizzle-orm'
import { bigint, boolean, index, integer, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { at, money, TRANSACTION_KINDS, wei } from './columns.ts'

/** The relayer's outbox: raw bytes and nonce are stored before anything is sent. */
export const transactions = pgTable(
  'transactions',
  {
    id: text('id').primaryKey(),
    kind: text('kind', { enum: TRANSACTION_KINDS }).notNull(),
    /** The transaction that this one is part of, and shares its fate with: a close's batch. */
    carrierId: text('carrier_id'),
    /** Once per kind: a session, a top-up's nonce, a provider, a batch or a transfer's nonce. */
    reference: text('reference').notNull(),
    sessionId: text('session_id'),
    providerId: text('provider_id'),
    agentId: text('agent_id'),
    amountMicros: money('amount_micros').notNull().default(sql`0`),
    detail: jsonb('detail').notNull(),
    status: text('status').notNull(),
    to: text('to').notNull(),
    data: text('data').notNull(),
    nonce: bigint('nonce', { mode: 'bigint' }),
    /** What is sent: the newest of the variants. */
    raw: text('raw'),
    /** Of the newest variant, or of the one that was mined. */
    txHash: text('tx_hash'),
    blockNumber: bigint('block_number', { mode: 'bigint' }),
    blockHash: text('block_hash'),
    error: text('error'),
    /** What it took, once that is final: of the relayer's coin. */
    gasUsed: bigint('gas_used', { mode: 'bigint' }),
    feeWei: wei('fee_wei'),
    attempts: integer('attempts').notNull().default(0),
    /** Since when it is not mined although as much is offered as may be. */
    stuckAt: at('stuck_at'),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex('transactions_once').on(table.kind, table.reference).where(sql`${table.status} <> 'failed'`),
    uniqueIndex('transactions_nonce').on(table.nonce).where(sql`${table.nonce} is not null`),
    index('transactions_open').on(table.status).where(sql`${table.status} not in ('final', 'failed')`),
    index('transactions_session').on(table.sessionId),
    index('transactions_carrier').on(table.carrierId).where(sql`${table.carrierId} is not null`),
    index('transactions_agent').on(table.agentId),
    index('transactions_paid').on(table.updatedAt).where(sql`${table.gasUsed} is not null`),
  ],
)

/** Every signature under one action: the same nonce, each offering more than the one before. Any of them may be mined. */
export const transactionVariants = pgTable(
  'transaction_variants',
  {
    txHash: text('tx_hash').primaryKey(),
    transactionId: text('transaction_id').notNull(),
    raw: text('raw').notNull(),
    /** The newest block when it was signed; null where nobody looked. */
    signedBlock: bigint('signed_block', { mode: 'bigint' }),
    signedAt: at('signed_at').notNull().default(sql`clock_timestamp()`),
  },
  (table) => [index('transaction_variants_transaction').on(table.transactionId)],
)

/** What was relayed for whom: gas that is lent, until a session has paid for its own. */
export const relayedCalls = pgTable(
  'relayed_calls',
  {
    /** Of the transaction that is planned for it. */
    reference: text('reference').primaryKey(),
    /** The wallet that is relayed for; of a custodial session its agent. */
    payer: text('payer').notNull(),
    sessionId: text('session_id'),
    gas: bigint('gas', { mode: 'bigint' }).notNull(),
    /** Whether the payer had never had a session that paid for itself. */
    isNewcomer: boolean('is_newcomer').notNull(),
    reservedAt: at('reserved_at').notNull().default(sql`clock_timestamp()`),
  },
  (table) => [
    index('relayed_calls_payer').on(table.payer, table.reservedAt),
    index('relayed_calls_newcomers').on(table.reservedAt).where(sql`${table.isNewcomer}`),
  ],
)
