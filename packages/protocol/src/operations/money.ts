import { z } from 'zod'
import { bytes32, sha256Schema } from '../bytes.ts'
import { depositAuthorization } from '../channel.ts'
import { executionId, providerId, sessionId } from '../ids.ts'
import { toolId } from '../manifest.ts'
import { usdcMicros } from '../money.ts'
import { durationMsSchema, instant } from '../time.ts'
import { balanceView, earningView, paymentView, sessionView } from '../views.ts'
import { operation, page, pageQuery } from './operation.ts'

/** `POST /api/metering` */
export const reportUsage = operation({
  id: 'reportUsage',
  method: 'POST',
  path: '/api/metering',
  tag: 'metering',
  summary: 'A node reports receipts; each is authenticated by its own signature',
  actor: 'signature',
  body: z.strictObject({ receipts: z.array(z.string().min(1).max(32_768)).min(1).max(100) }),
  output: z.strictObject({
    results: z.array(
      z.strictObject({
        executionId: executionId.optional(),
        accepted: z.boolean(),
        code: z.string().optional(),
        detail: z.string().optional(),
        countersignature: z.string().optional(),
      }),
    ),
  }),
  errors: [
    'signature_invalid',
    'receipt_replayed',
    'receipt_out_of_order',
    'receipt_deferred',
    'receipt_mismatch',
    'receipt_disputed',
  ],
})

/** `GET /api/metering?sessionId=` */
export const getMetering = operation({
  id: 'getMetering',
  method: 'GET',
  path: '/api/metering',
  tag: 'metering',
  summary: 'What was measured in a session, with its receipts',
  actor: 'agent',
  query: z.strictObject({ ...pageQuery, sessionId }),
  output: z.strictObject({
    sessionId,
    consumedMicros: usdcMicros,
    heldMicros: usdcMicros,
    effectiveMs: z.int().min(0),
    items: z.array(
      z.strictObject({
        executionId,
        tool: toolId,
        sequence: z.int(),
        receiptHash: sha256Schema,
        effectiveMs: z.int(),
        cpuMs: z.int(),
        maxRssBytes: z.int(),
        readBytes: z.int().optional(),
        writtenBytes: z.int().optional(),
        costMicros: usdcMicros,
        cumulativeMicros: usdcMicros,
        receipt: z.string(),
        countersignature: z.string(),
        recordedAt: instant,
      }),
    ),
    nextCursor: z.string().optional(),
  }),
  errors: ['not_found'],
})

/** What `POST /api/payments` can do. */
export const paymentRequest = z.discriminatedUnion('operation', [
  z.strictObject({
    operation: z.literal('deposit'),
    /** Without a session it goes into the custodial balance, and `topUpSalt` is the nonce of the transfer. */
    sessionId: sessionId.optional(),
    additionalMicros: usdcMicros.refine((amount) => amount > 0n, 'must be above zero'),
    topUpSalt: bytes32,
    deposit: depositAuthorization,
  }),
  z.strictObject({ operation: z.literal('settle'), sessionId }),
  z.strictObject({
    operation: z.literal('quote'),
    providerId,
    tool: toolId,
    durationMs: durationMsSchema.optional(),
    budgetMicros: usdcMicros.optional(),
  }),
  z.strictObject({ operation: z.literal('withdraw'), amountMicros: usdcMicros.optional() }),
  z.strictObject({ operation: z.literal('reinvest'), amountMicros: usdcMicros.optional() }),
])
/** See {@link paymentRequest}. */
export type PaymentRequest = z.output<typeof paymentRequest>

/** `POST /api/payments` */
export const pay = operation({
  id: 'pay',
  method: 'POST',
  path: '/api/payments',
  tag: 'payments',
  summary: 'Deposits into a session, settles one, or says what a tool would cost',
  actor: 'agent',
  idempotent: true,
  body: paymentRequest,
  output: z.discriminatedUnion('operation', [
    z.strictObject({
      operation: z.enum(['deposit', 'settle', 'withdraw']),
      session: sessionView.optional(),
      /** Of a custodial deposit or withdrawal: the balance as it is now. */
      balance: balanceView.optional(),
    }),
    z.strictObject({
      operation: z.literal('quote'),
      rateMicrosPerMinute: usdcMicros,
      /** What the tool costs at its time limit, or for `durationMs`. */
      costMicros: usdcMicros,
      durationMs: durationMsSchema,
      /** How long `budgetMicros` lasts. */
      budgetLastsMs: durationMsSchema.optional(),
    }),
  ]),
  errors: [
    'not_found',
    'unsupported_operation',
    'session_not_active',
    'deposit_refused',
    'relay_limit_reached',
    'signature_invalid',
    'insufficient_funds',
    'custodial_cap_exceeded',
    'chain_unavailable',
    'tool_not_offered',
  ],
})

/** `GET /api/payments` */
export const listPayments = operation({
  id: 'listPayments',
  method: 'GET',
  path: '/api/payments',
  tag: 'payments',
  summary: 'Money in and out of the sessions of the signed-in agent',
  actor: 'agent',
  query: z.strictObject({ ...pageQuery, sessionId: sessionId.optional() }),
  output: page(paymentView),
})

/** `GET /api/balance` */
export const getBalance = operation({
  id: 'getBalance',
  method: 'GET',
  path: '/api/balance',
  tag: 'payments',
  summary:
    'The custodial balance of the signed-in agent: what sessions opened with `custodial` are paid from',
  actor: 'agent',
  output: balanceView,
})

/** `GET /api/earnings` */
export const getEarnings = operation({
  id: 'getEarnings',
  method: 'GET',
  path: '/api/earnings',
  tag: 'earnings',
  summary:
    'The statement of the providers whose owner is signed in; each line with receipt hash and transaction',
  actor: 'owner',
  query: z.strictObject({ ...pageQuery, providerId: providerId.optional() }),
  output: z.strictObject({
    /** Costs of all recorded runs, before the split. */
    grossMicros: usdcMicros,
    /** The provider's share that is not yet final on the chain. */
    pendingMicros: usdcMicros,
    settledMicros: usdcMicros,
    items: z.array(earningView),
    nextCursor: z.string().optional(),
  }),
})

/** `GET /api/solvency` */
export const getSolvency = operation({
  id: 'getSolvency',
  method: 'GET',
  path: '/api/solvency',
  tag: 'payments',
  summary: 'What the ledger owes beside what the chain holds, read at one block',
  actor: 'public',
  output: z.strictObject({
    /** False when the chain holds less than the ledger owes and no settlement under way explains it. */
    isSolvent: z.boolean(),
    /** What is owed, by the kind of account. */
    liabilities: z.strictObject({
      /** Deposits of sessions that were not spent: the agents' money. */
      budgetsMicros: usdcMicros,
      /** Spent and not settled: shares of providers, platform and reserve. */
      payablesMicros: usdcMicros,
      /** Settled shares of providers that no payout has left the ledger for. */
      earningsMicros: usdcMicros,
      /** What the reserve has taken in and not refunded. */
      reserveMicros: usdcMicros,
      /** What the rules have refunded out of it, owed to agents. */
      refundsMicros: usdcMicros,
      /** Custodial balances of agents that pay by API key: free, set aside for a session, or on their way out. */
      custodialMicros: usdcMicros,
    }),
    holdings: z.strictObject({
      /** Of the newest final block; everything here was read at it. */
      blockNumber: z.int().min(0),
      /** What the escrow has to hold budgets, payables and earnings with. */
      escrowMicros: usdcMicros,
      /** The account that the reserve's shares are paid to. */
      reserveMicros: usdcMicros,
      /** The custody wallet, which has to hold the custodial balances. */
      custodyMicros: usdcMicros,
    }),
    /** Custodial money whose transfer is on its way: the chain may have moved it, the ledger has not posted it. */
    custodyMovingMicros: usdcMicros,
    /** Deposits of channels whose close is on its way: the chain may have paid them, the ledger has not posted it. */
    settlingMicros: usdcMicros,
    readAt: instant,
  }),
  errors: ['chain_unavailable'],
})
