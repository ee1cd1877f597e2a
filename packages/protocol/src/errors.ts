/** One row of the error table: everything a caller can know about a code before it meets it. */
export type ErrorRow = {
  /** HTTP status. */
  status: number
  /** The same short sentence for every occurrence (RFC 9457 `title`). */
  title: string
  /** What to do next. */
  hint: string
  /** Whether the same request may succeed later without a change. */
  retryable: boolean
}

const row = (status: number, title: string, hint: string, retryable = false): ErrorRow => ({
  status,
  title,
  hint,
  retryable,
})

/**
 * Every operating error of ORIEN. The HTTP API, the node, the SDK and the documentation read this table
 * and nothing else; a code that is not here cannot be thrown.
 */
export const ERRORS = {
  validation_failed: row(400, 'The input is not valid', 'Correct the fields listed in `issues`.'),
  malformed_json: row(
    400,
    'The body is not JSON',
    'Send one JSON value in UTF-8 with content-type application/json.',
  ),
  unauthorized: row(
    401,
    'Authentication is needed',
    'Sign in at /api/auth/challenge and send the token as `Authorization: Bearer`.',
  ),
  signature_invalid: row(
    401,
    'The signature does not match',
    'Sign exactly the published typed data with the key that is named.',
  ),
  challenge_expired: row(
    401,
    'The sign-in challenge is unknown or expired',
    'Ask for a new challenge and sign it within five minutes.',
  ),
  payment_required: row(402, 'Payment is required', 'Start the session with a signed deposit.'),
  custodial_cap_exceeded: row(
    422,
    'The custodial balance would pass its cap',
    'Deposit less, or pay from the wallet: sessions of a wallet have no such cap.',
  ),
  budget_exhausted: row(402, 'The budget is used up', 'Top the session up or open a new one.'),
  voucher_required: row(
    402,
    'A higher voucher is needed',
    'Sign a voucher for `requiredCumulativeMicros` and send it with the same request.',
  ),
  voucher_invalid: row(
    402,
    'The voucher does not authorise this',
    'Sign the voucher with the session key for this channel, contract and chain.',
  ),
  insufficient_funds: row(
    402,
    'The wallet does not hold enough USDC',
    'Fund the wallet, then start the session again.',
  ),
  deposit_refused: row(
    402,
    'The deposit would not go through',
    'Sign a fresh deposit authorisation for the terms of this session.',
  ),
  forbidden: row(403, 'Not allowed', 'Use the credentials of the owner of this resource.'),
  spend_cap_exceeded: row(
    403,
    'The key may not spend that much',
    'Use a smaller budget or a key with a higher cap.',
  ),
  not_in_production: row(403, 'Only available in development', 'Start the coordinator in development mode.'),
  not_found: row(404, 'There is no such thing', 'Check the id and that your credentials may see it.'),
  method_not_allowed: row(
    405,
    'This path has no such method',
    'See /api/openapi.json for the methods of each path.',
  ),
  idempotency_conflict: row(
    409,
    'The key was used for another request',
    'Use a new Idempotency-Key for a different body.',
  ),
  session_not_active: row(409, 'The session is not active', 'Start the session, or open a new one.'),
  illegal_transition: row(409, 'The state does not allow this', 'Read the current status first.'),
  refund_exhausted: row(
    409,
    'Nothing is left to refund it from',
    'Ask again with a new Idempotency-Key: tomorrow, or when the provider has settled more.',
  ),
  execution_finished: row(409, 'The execution has already ended', 'Read its result.'),
  provider_offline: row(
    409,
    'The provider is not connected',
    'Choose another provider or try again later.',
    true,
  ),
  provider_closed: row(
    409,
    'The provider takes no new work',
    'Its owner has paused it. Choose another provider or try again later.',
    true,
  ),
  provider_full: row(
    409,
    'The provider has no room for another session',
    'Choose another provider or try again later.',
    true,
  ),
  payer_blocked: row(
    403,
    'The provider does not serve this wallet',
    'Its owner has refused this wallet. Choose another provider.',
  ),
  provider_not_authorised: row(
    409,
    'The provider cannot settle yet',
    'Its owner has to authorise the operator key on the chain.',
    true,
  ),
  registration_conflict: row(
    409,
    'The provider is registered by someone else',
    'Register with the wallet that owns this provider id.',
  ),
  duplicate_node: row(
    409,
    'A node with this key is already connected',
    'Stop the other node, or give this one a key of its own.',
  ),
  tool_not_offered: row(409, 'The provider does not offer this tool', 'See `tools` of the provider.'),
  rate_too_high: row(
    409,
    'The provider asks for more than your maximum',
    'Raise `maxRateMicros` or choose another provider.',
  ),
  receipt_replayed: row(409, 'The receipt was already recorded', 'Nothing to do: the first one counts.'),
  receipt_out_of_order: row(
    409,
    'The receipt does not follow the last one',
    'Send the receipts of a session in their order.',
  ),
  receipt_deferred: row(
    409,
    'The receipt cannot be covered yet',
    'A later run holds what is left. Send the same receipt again when that run is over.',
    true,
  ),
  receipt_mismatch: row(
    409,
    'The receipt does not belong to this execution',
    'Report only what the dispatch named.',
  ),
  receipt_disputed: row(
    409,
    'The receipt is disputed',
    'Its time or price contradicts what the coordinator saw; the session is ending.',
  ),
  deposit_pending: row(
    409,
    'The deposit is not final yet',
    'Send the file again after the event `deposit.final`; until then a session holds only a few small files.',
    true,
  ),
  upload_offset_mismatch: row(
    409,
    'The upload does not go on where it stopped',
    'Send the bytes from `receivedBytes` on.',
    true,
  ),
  workspace_gone: row(
    410,
    'The session is over and its files are gone',
    'Files have to be downloaded before a session ends. Open a new one.',
  ),
  length_required: row(411, 'The length of the body is missing', 'Send a Content-Length header.'),
  precondition_failed: row(412, 'A precondition does not hold', 'Read the resource again.'),
  payload_too_large: row(413, 'The body is too large', 'Send less; the limit is in `limitBytes`.'),
  unsupported_media_type: row(415, 'The content type is not supported', 'Send application/json.'),
  range_not_satisfiable: row(
    416,
    'The file is shorter than that',
    'Ask for a range within `bytes`, or for the whole file.',
  ),
  digest_mismatch: row(422, 'The bytes do not match their digest', 'Send the file again.'),
  unsupported_operation: row(
    422,
    'This operation is not offered here',
    'See the OpenAPI document for what is.',
  ),
  workspace_path_refused: row(
    422,
    'The file name is not allowed',
    'Use a relative name without `..`, links or special files.',
  ),
  workspace_full: row(422, 'The workspace is full', 'Remove files or ask for a provider with more space.'),
  too_many_transfers: row(
    429,
    'Too many files at once',
    'Wait until one of your transfers has ended, or send files one after the other.',
    true,
  ),
  rate_limited: row(429, 'Too many requests', 'Wait for the time in Retry-After.', true),
  // Not called retryable: clients repeat those within seconds.
  relay_limit_reached: row(
    429,
    'This is not relayed for this wallet yet',
    'Send the signed deposit to the escrow yourself and repeat the call, or wait until `resetsAt`. What sessions spend pays for the gas of the next.',
  ),
  coordinator_unreachable: row(
    503,
    'The coordinator cannot be reached',
    'Check the address and the network, then try again with the same Idempotency-Key.',
    true,
  ),
  overloaded: row(503, 'The coordinator is busy', 'Try again shortly with the same Idempotency-Key.', true),
  database_unavailable: row(
    503,
    'The database cannot be reached',
    'Try again shortly with the same Idempotency-Key.',
    true,
  ),
  database_busy: row(
    503,
    'The database is at a limit',
    'Nothing was done. Try again shortly with the same Idempotency-Key.',
    true,
  ),
  database_full: row(
    503,
    'The disk of the database is full',
    'Try again later with the same Idempotency-Key; the operator has to make room.',
    true,
  ),
  database_read_only: row(
    503,
    'The database accepts no writes',
    'Try again later with the same Idempotency-Key; the operator has to connect the writable server.',
    true,
  ),
  database_damaged: row(
    503,
    'The database cannot read or write its files',
    'Tell the operator: disk and files have to be checked before anything is tried again.',
  ),
  database_in_use: row(
    503,
    'The data directory belongs to a running process',
    'Stop the other coordinator or choose another data directory.',
  ),
  chain_unavailable: row(503, 'The chain cannot be reached', 'Try again shortly.', true),
  node_unreachable: row(504, 'The provider did not answer in time', 'Try again shortly.', true),
  sandbox_unavailable: row(
    503,
    'The machine cannot isolate tools',
    'Install bubblewrap and allow user namespaces, see `orien provider tools`.',
  ),
  tool_failed: row(500, 'The tool could not be prepared', 'See the detail; the run is not charged.'),
  setup_failed: row(
    500,
    'A part of the stack could not start',
    'See the detail; `--help` shows the options.',
  ),
  timed_out: row(504, 'No answer in time', 'Try again with the same Idempotency-Key.', true),
  unreadable: row(500, 'A file or an answer could not be read', 'See the detail.'),
  internal_error: row(500, 'Something broke on our side', 'Tell the operator the requestId.', true),
} as const satisfies Record<string, ErrorRow>

/** A code of the table. */
export type ErrorCode = keyof typeof ERRORS

/** One finding about bad input: where and what. */
export type Issue = { path: string; message: string }

/** Facts that travel with an error, e.g. `requiredCumulativeMicros`. Plain JSON values only. */
export type ErrorFacts = Readonly<Record<string, unknown>> & { issues?: readonly Issue[] }

/** An operating error: expected, coded, safe to show to the caller. */
export class OrienError extends Error {
  override readonly name = 'OrienError'
  readonly code: ErrorCode
  readonly facts: ErrorFacts

  /** @param detail one sentence about this occurrence; never a secret, a path of the host or a stack */
  constructor(code: ErrorCode, detail?: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(detail ?? ERRORS[code].title, options)
    this.code = code
    this.facts = facts
  }
}

/** RFC 9457 problem document, https://www.rfc-editor.org/rfc/rfc9457. */
export type Problem = {
  type: string
  title: string
  status: number
  code: ErrorCode
  detail: string
  hint: string
  retryable: boolean
  requestId: string
} & Record<string, unknown>

/**
 * The answer a caller sees for an error. Of its facts only `hint` goes before the table: it knows the occurrence.
 *
 * @example
 * toProblem(new OrienError('not_found'), 'req_1').status // 404
 */
export function toProblem(error: OrienError, requestId: string): Problem {
  const { status, title, hint, retryable } = ERRORS[error.code]
  const { hint: ownHint } = error.facts
  return {
    ...error.facts,
    type: `/docs/errors/${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    hint: typeof ownHint === 'string' ? ownHint : hint,
    retryable,
    requestId,
  }
}

/** Whether `code` is one of the table's; for answers that came over a wire. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code)
}
