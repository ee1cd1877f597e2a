import { z } from 'zod'
import { address, bytes32, sha256Schema } from '../bytes.ts'
import { depositAuthorization, exitAuthorization, voucher } from '../channel.ts'
import { providerId, sessionId } from '../ids.ts'
import { LIMITS } from '../limits.ts'
import { usdcMicros } from '../money.ts'
import { refundItem } from '../refund.ts'
import { sessionStatus } from '../session.ts'
import { fileView, sessionView } from '../views.ts'
import { operation, page, pageQuery } from './operation.ts'

const params = z.strictObject({ id: sessionId })

/** `GET /api/sessions` */
export const listSessions = operation({
  id: 'listSessions',
  method: 'GET',
  path: '/api/sessions',
  tag: 'sessions',
  summary: 'The sessions of the signed-in agent, newest first',
  actor: 'agent',
  query: z.strictObject({
    ...pageQuery,
    status: sessionStatus.optional(),
    providerId: providerId.optional(),
  }),
  output: page(sessionView),
})

/** `POST /api/sessions` */
export const openSession = operation({
  id: 'openSession',
  method: 'POST',
  path: '/api/sessions',
  tag: 'sessions',
  summary: 'Opens a session with a budget; the answer says what to sign to start it',
  actor: 'agent',
  status: 201,
  idempotent: true,
  body: z.strictObject({
    providerId,
    budgetMicros: usdcMicros.refine(
      (amount) => amount >= LIMITS.minimumDepositMicros,
      `must be at least ${LIMITS.minimumDepositMicros}`,
    ),
    rail: z.literal('escrow').default('escrow'),
    /** Runs that may take long are granted in steps of this: `voucher.requested` asks for the next one. */
    stepMicros: usdcMicros.optional(),
    /** Paid from the balance at the coordinator, which then signs: no deposit, no vouchers, nothing to start. */
    custodial: z.boolean().optional(),
    maxRateMicros: usdcMicros.optional(),
    mission: z.string().max(LIMITS.missionChars).optional(),
  }),
  output: sessionView,
  errors: [
    'not_found',
    'provider_offline',
    'provider_closed',
    'provider_full',
    'payer_blocked',
    'provider_not_authorised',
    'rate_too_high',
    'spend_cap_exceeded',
    'insufficient_funds',
  ],
})

/** `GET /api/sessions/:id` */
export const getSession = operation({
  id: 'getSession',
  method: 'GET',
  path: '/api/sessions/:id',
  tag: 'sessions',
  summary: 'One session',
  actor: 'agent',
  params,
  output: sessionView,
  errors: ['not_found'],
})

/** What can be done to a session. */
export const sessionAction = z.discriminatedUnion('action', [
  z.strictObject({
    action: z.literal('start'),
    payer: address,
    authorizedSigner: address,
    deposit: depositAuthorization,
    /** A voucher over zero: proves that the session key is a plain key, and lets the channel be closed at any time. */
    voucher,
    /** The agent's way out, signed ahead: relayed when the provider is gone. Without it the agent has to send its own. */
    exit: exitAuthorization.optional(),
  }),
  z.strictObject({ action: z.literal('voucher'), voucher }),
  z.strictObject({
    action: z.literal('topUp'),
    additionalMicros: usdcMicros.refine((amount) => amount > 0n, 'must be above zero'),
    topUpSalt: bytes32,
    deposit: depositAuthorization,
  }),
  z.strictObject({ action: z.literal('end') }),
])
/** See {@link sessionAction}. */
export type SessionAction = z.output<typeof sessionAction>

/** `POST /api/sessions/:id` */
export const actOnSession = operation({
  id: 'actOnSession',
  method: 'POST',
  path: '/api/sessions/:id',
  tag: 'sessions',
  summary: 'Starts, tops up or ends a session, or hands in a voucher',
  actor: 'agent',
  idempotent: true,
  params,
  body: sessionAction,
  output: sessionView,
  errors: [
    'not_found',
    'illegal_transition',
    'session_not_active',
    'provider_closed',
    'provider_full',
    'payer_blocked',
    'deposit_refused',
    'relay_limit_reached',
    'insufficient_funds',
    'voucher_invalid',
    'signature_invalid',
    'chain_unavailable',
  ],
})

/** `DELETE /api/sessions/:id` */
export const endSession = operation({
  id: 'endSession',
  method: 'DELETE',
  path: '/api/sessions/:id',
  tag: 'sessions',
  summary: 'Ends a session: running tools are stopped, then it is settled and the rest refunded',
  actor: 'agent',
  status: 202,
  params,
  output: sessionView,
  errors: ['not_found', 'illegal_transition'],
})

/** `POST /api/sessions/:id/refund` */
export const refundSession = operation({
  id: 'refundSession',
  method: 'POST',
  path: '/api/sessions/:id/refund',
  tag: 'sessions',
  summary:
    'Refunds by rule what a settled session cost: promised files that are missing, claims above the receipts',
  actor: 'agent',
  idempotent: true,
  params,
  output: z.strictObject({
    sessionId,
    items: z.array(refundItem),
    refundedMicros: usdcMicros,
  }),
  errors: ['not_found', 'illegal_transition', 'refund_exhausted'],
})

/** `GET /api/sessions/:id/files` */
export const listFiles = operation({
  id: 'listFiles',
  method: 'GET',
  path: '/api/sessions/:id/files',
  tag: 'files',
  summary: 'The files of the session’s workspace',
  actor: 'agent',
  params,
  output: page(fileView),
  errors: ['not_found', 'session_not_active', 'workspace_gone', 'provider_offline', 'node_unreachable'],
})

/** `GET /api/sessions/:id/uploads` */
export const findUpload = operation({
  id: 'findUpload',
  method: 'GET',
  path: '/api/sessions/:id/uploads',
  tag: 'files',
  summary: 'How much has arrived of an upload that was cut off, to go on from there',
  actor: 'agent',
  params,
  query: z.strictObject({
    name: z.string().max(LIMITS.fileNameBytes),
    sha256: sha256Schema,
    bytes: z.coerce.number().int().min(0).max(LIMITS.fileBytes),
  }),
  output: z.strictObject({ receivedBytes: z.int().min(0), isComplete: z.boolean() }),
  errors: [
    'not_found',
    'session_not_active',
    'workspace_gone',
    'workspace_path_refused',
    'provider_offline',
    'node_unreachable',
  ],
})

/** `GET /api/sessions/:id/bill` */
export const getBill = operation({
  id: 'getBill',
  method: 'GET',
  path: '/api/sessions/:id/bill',
  tag: 'sessions',
  summary: 'The bill: everything needed to recompute it without the coordinator',
  actor: 'agent',
  params,
  output: z.record(z.string(), z.unknown()),
  errors: ['not_found', 'session_not_active'],
})
