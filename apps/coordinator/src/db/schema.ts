import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  date,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { at, bytea, money } from './columns.ts'

export const agents = pgTable('agents', {
  id: text('id').primaryKey(),
  wallet: text('wallet').notNull().unique(),
  createdAt: at('created_at').notNull().defaultNow(),
})

export const authChallenges = pgTable('auth_challenges', {
  nonce: text('nonce').primaryKey(),
  address: text('address').notNull(),
  expiresAt: at('expires_at').notNull(),
})

/** Bearer tokens and API keys; only the hash of a secret is kept. */
export const credentials = pgTable(
  'credentials',
  {
    id: text('id').primaryKey(),
    kind: text('kind', { enum: ['token', 'key'] }).notNull(),
    secretHash: text('secret_hash').notNull().unique(),
    agentId: text('agent_id')
      .notNull()
      .references(() => agents.id),
    name: text('name').notNull().default(''),
    scopes: text('scopes').array().notNull(),
    spendCapMicros: money('spend_cap_micros'),
    spentMicros: money('spent_micros').notNull().default(sql`0`),
    createdAt: at('created_at').notNull().defaultNow(),
    expiresAt: at('expires_at'),
    revokedAt: at('revoked_at'),
  },
  (table) => [
    index('credentials_agent').on(table.agentId, table.kind),
    check(
      'credentials_within_cap',
      sql`${table.spendCapMicros} is null or ${table.spentMicros} <= ${table.spendCapMicros}`,
    ),
  ],
)

/** Answers of mutations by key, so that a repeated request gets the first one's answer. */
export const idempotency = pgTable(
  'idempotency',
  {
    actor: text('actor').notNull(),
    key: text('key').notNull(),
    operation: text('operation').notNull(),
    bodyHash: text('body_hash').notNull(),
    answer: jsonb('answer'),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.actor, table.key] })],
)

export const providers = pgTable(
  'providers',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    payout: text('payout').notNull(),
    operator: text('operator').notNull(),
    nodeKey: text('node_key').notNull().unique(),
    rateMicrosPerMinute: money('rate_micros_per_minute').notNull(),
    tools: jsonb('tools').notNull(),
    isolation: text('isolation').notNull(),
    registration: jsonb('registration').notNull(),
    registrationIssuedAt: bigint('registration_issued_at', { mode: 'bigint' }).notNull(),
    offer: text('offer'),
    offerHash: text('offer_hash'),
    isOperatorAuthorised: boolean('is_operator_authorised').notNull().default(false),
    isDisabled: boolean('is_disabled').notNull().default(false),
    deletedAt: at('deleted_at'),
    registeredAt: at('registered_at').notNull().defaultNow(),
    lastSeenAt: at('last_seen_at'),
  },
  (table) => [
    index('providers_payout').on(table.payout),
    check('providers_rate', sql`${table.rateMicrosPerMinute} > 0`),
  ],
)

/** An owner's code for one machine, what that machine asks to be signed, and the signatures. */
export const enrolments = pgTable('enrolments', {
  code: text('code').primaryKey(),
  payout: text('payout').notNull(),
  draft: jsonb('draft'),
  signatures: jsonb('signatures'),
  expiresAt: at('expires_at').notNull(),
})

/** How long a provider's node was heard of, by UTC day. */
export const providerUptime = pgTable(
  'provider_uptime',
  {
    providerId: text('provider_id')
      .notNull()
      .references(() => providers.id),
    day: date('day').notNull(),
    onlineMs: bigint('online_ms', { mode: 'bigint' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.providerId, table.day] })],
)

export const sessions = pgTable(
  'sessions',
  {
    id: text('id').primaryKey(),
    agentId: text('agent_id')
      .notNull()
      .references(() => agents.id),
    providerId: text('provider_id')
      .notNull()
      .references(() => providers.id),
    credentialId: text('credential_id'),
    status: text('status').notNull(),
    rail: text('rail').notNull(),
    mission: text('mission'),
    rateMicrosPerMinute: money('rate_micros_per_minute').notNull(),
    budgetMicros: money('budget_micros').notNull(),
    spentMicros: money('spent_micros').notNull().default(sql`0`),
    heldMicros: money('held_micros').notNull().default(sql`0`),
    authorisedMicros: money('authorised_micros').notNull().default(sql`0`),
    /** Paid from its agent's custodial balance, with a key of the coordinator. */
    isCustodial: boolean('is_custodial').notNull().default(false),
    /** The size of grants of runs that may take long; null: one grant a run. */
    stepMicros: money('step_micros'),
    /** What is on the chain, and final there. */
    depositMicros: money('deposit_micros').notNull().default(sql`0`),
    /** What the provider has claimed of it before the end, as the chain says: posted with the settlement. */
    claimedMicros: money('claimed_micros').notNull().default(sql`0`),
    voucherSignature: text('voucher_signature'),
    effectiveMs: bigint('effective_ms', { mode: 'bigint' }).notNull().default(sql`0`),
    openExecutions: integer('open_executions').notNull().default(0),
    /** No open hold of this session has a lease that ends before; see expire.sql. */
    leasesFrom: at('leases_from').notNull().default(sql`'epoch'`),
    executions: integer('executions').notNull().default(0),
    lastEvent: integer('last_event').notNull().default(0),
    receiptSequence: integer('receipt_sequence').notNull().default(0),
    receiptHead: text('receipt_head').notNull(),
    offer: text('offer').notNull(),
    offerHash: text('offer_hash').notNull(),
    registration: jsonb('registration').notNull(),
    payee: text('payee').notNull(),
    payer: text('payer'),
    authorizedSigner: text('authorized_signer'),
    salt: text('salt').notNull(),
    channelId: text('channel_id').unique(),
    channelStatus: text('channel_status', {
      enum: ['none', 'opening', 'open', 'closing', 'closed', 'failed'],
    })
      .notNull()
      .default('none'),
    deposit: jsonb('deposit'),
    /** The agent's request to close, signed ahead; and when, by the chain, one was made. */
    exit: jsonb('exit'),
    closeRequestedAt: at('close_requested_at'),
    createdAt: at('created_at').notNull().defaultNow(),
    startedAt: at('started_at'),
    endedAt: at('ended_at'),
    settledAt: at('settled_at'),
  },
  (table) => [
    index('sessions_agent').on(table.agentId, table.id),
    index('sessions_provider').on(table.providerId, table.status),
    index('sessions_unsettled').on(table.status, table.endedAt).where(sql`${table.status} <> 'settled'`),
    check('sessions_within_budget', sql`${table.spentMicros} + ${table.heldMicros} <= ${table.budgetMicros}`),
    check(
      'sessions_within_voucher',
      sql`${table.spentMicros} + ${table.heldMicros} <= ${table.authorisedMicros}`,
    ),
    check(
      'sessions_not_negative',
      sql`${table.spentMicros} >= 0 and ${table.heldMicros} >= 0 and ${table.openExecutions} >= 0`,
    ),
  ],
)

export const executions = pgTable(
  'executions',
  {
    id: text('id').primaryKey(),
    // No foreign key, here and at receipts: the functions that write them have the row under lock. The audit looks.
    sessionId: text('session_id').notNull(),
    idempotencyKey: text('idempotency_key').notNull(),
    bodyHash: text('body_hash').notNull(),
    tool: text('tool').notNull(),
    manifestHash: text('manifest_hash').notNull(),
    args: jsonb('args').notNull(),
    argumentsSalt: text('arguments_salt').notNull(),
    limits: jsonb('limits').notNull(),
    status: text('status').notNull(),
    reason: text('reason'),
    grantNumber: integer('grant_number').notNull(),
    holdMicros: money('hold_micros').notNull(),
    holdStatus: text('hold_status', { enum: ['open', 'captured', 'released', 'expired'] }).notNull(),
    deadlineMs: integer('deadline_ms').notNull(),
    /** The hold may be raised to this while the run goes on; null for a run with one grant. */
    mostMicros: money('most_micros'),
    requestedMicros: money('requested_micros'),
    /** `[hold, deadlineMs]` of the grants before the present one: the node may not have heard of that. */
    earlierGrants: jsonb('earlier_grants').notNull().default([]),
    voucherMicros: money('voucher_micros').notNull(),
    voucherSignature: text('voucher_signature').notNull(),
    costMicros: money('cost_micros').notNull().default(sql`0`),
    effectiveMs: integer('effective_ms').notNull().default(0),
    cpuMs: integer('cpu_ms').notNull().default(0),
    maxRssBytes: bigint('max_rss_bytes', { mode: 'bigint' }).notNull().default(sql`0`),
    /** Null where the node did not count them. */
    readBytes: bigint('read_bytes', { mode: 'number' }),
    writtenBytes: bigint('written_bytes', { mode: 'number' }),
    exitCode: integer('exit_code'),
    dispute: jsonb('dispute'),
    cancelRequestedAt: at('cancel_requested_at'),
    createdAt: at('created_at').notNull().defaultNow(),
    startedAt: at('started_at'),
    endedAt: at('ended_at'),
    leaseUntil: at('lease_until').notNull(),
  },
  (table) => [
    // One expression, not two columns: a plan made while the table is empty takes `executions_session` for two, and
    // then reads every run of the session for each new one.
    uniqueIndex('executions_key').on(sql`(${table.sessionId} || ' ' || ${table.idempotencyKey})`),
    // None of a column that changes when a run ends: with room on its page such an update writes no index at all.
    index('executions_session').on(table.sessionId, table.id),
    check(
      'executions_within_hold',
      sql`${table.holdStatus} <> 'captured' or ${table.costMicros} <= ${table.holdMicros}`,
    ),
  ],
)

/** Refused executes by key: a late duplicate of a refused request must not slip through. */
export const refusals = pgTable(
  'refusals',
  {
    sessionId: text('session_id').notNull(),
    idempotencyKey: text('idempotency_key').notNull(),
    bodyHash: text('body_hash').notNull(),
    code: text('code').notNull(),
    facts: jsonb('facts').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.sessionId, table.idempotencyKey] })],
)

export const receipts = pgTable(
  'receipts',
  {
    executionId: text('execution_id').primaryKey(),
    sessionId: text('session_id').notNull(),
    sequence: integer('sequence').notNull(),
    hash: text('hash').notNull(),
    jws: text('jws').notNull(),
    countersignature: text('countersignature').notNull(),
    costMicros: money('cost_micros').notNull(),
    cumulativeMicros: money('cumulative_micros').notNull(),
    recordedAt: at('recorded_at').notNull().defaultNow(),
  },
  (table) => [uniqueIndex('receipts_chain').on(table.sessionId, table.sequence)],
)

/** Receipts that are signed by the right node and contradict what the coordinator saw. Nothing is paid for them. */
export const disputes = pgTable(
  'disputes',
  {
    executionId: text('execution_id').primaryKey(),
    sessionId: text('session_id').notNull(),
    code: text('code').notNull(),
    detail: text('detail').notNull(),
    jws: text('jws').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [index('disputes_session').on(table.sessionId)],
)

/**
 * Append-only: each row is a whole transfer, and no row is ever changed. Its legs are `accounts[i]`, `amountsMicros[i]`;
 * the view `ledger_entries` has a row for each.
 */
export const ledgerTransfers = pgTable(
  'ledger_transfers',
  {
    // Of two numbers the lower is older than any transaction that began after the higher was taken; see fold.sql.
    id: bigint('id', { mode: 'bigint' })
      .primaryKey()
      .default(sql`case when pg_current_xact_id() is not null then nextval('ledger_transfers_id_seq') end`),
    kind: text('kind').notNull(),
    reference: text('reference').notNull(),
    sessionId: text('session_id').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
    accounts: text('accounts').array().notNull(),
    amountsMicros: bigint('amounts_micros', { mode: 'bigint' }).array().notNull(),
  },
  (table) => [
    uniqueIndex('ledger_transfers_once').on(table.kind, table.reference),
    // Captures are found by their run: they are many, and an index entry each is what they would cost.
    index('ledger_transfers_session').on(table.sessionId).where(sql`${table.kind} <> 'capture'`),
    index('ledger_transfers_accounts').using('gin', table.accounts).where(sql`${table.kind} <> 'capture'`),
    // The sum of most is told by two numbers, without a call.
    check(
      'ledger_transfers_balanced',
      sql`case when cardinality(${table.amountsMicros}) = 2
        then ${table.amountsMicros}[1] = -${table.amountsMicros}[2] and ${table.amountsMicros}[1] <> 0
        else ledger_is_balanced(${table.amountsMicros}) end
        and cardinality(${table.accounts}) = cardinality(${table.amountsMicros})`,
    ),
  ],
)

/** Balances folded from the transfers up to `throughTransfer`; what is newer shows as pending. */
export const ledgerAccounts = pgTable(
  'ledger_accounts',
  {
    account: text('account').primaryKey(),
    balanceMicros: money('balance_micros').notNull(),
    throughTransfer: bigint('through_transfer', { mode: 'bigint' }).notNull(),
  },
  (table) => [index('ledger_accounts_through').on(table.throughTransfer)],
)

/** State changes, numbered per session, written in the transaction that they tell of. */
export const events = pgTable(
  'events',
  {
    sessionId: text('session_id').notNull(),
    sequence: integer('sequence').notNull(),
    type: text('type').notNull(),
    // Written once and read as a whole: `jsonb` would be taken apart and put together again.
    data: json('data').notNull(),
    at: at('at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.sessionId, table.sequence] })],
)

export const logChunks = pgTable(
  'log_chunks',
  {
    executionId: text('execution_id').notNull(),
    offset: bigint('offset', { mode: 'bigint' }).notNull(),
    stream: text('stream', { enum: ['stdout', 'stderr'] }).notNull(),
    data: bytea('data').notNull(),
    at: at('at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.executionId, table.offset] }),
    index('log_chunks_age').on(table.at),
  ],
)

export * from './transactions.ts'

export const facts = pgTable('facts', {
  name: text('name').primaryKey(),
  value: jsonb('value').notNull(),
  at: at('at').notNull().defaultNow(),
})
