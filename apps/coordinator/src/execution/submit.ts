import {
  canonicalJson,
  checkArguments,
  type ErrorCode,
  type Json,
  LIMITS,
  manifestHash,
  micros,
  type OperationInput,
  OrienError,
  type execute as operation,
  type PublishedTool,
  sha256Hex,
  type ToolArguments,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Batcher } from '../db/batcher.ts'
import { DATABASE_LIMITS } from '../db/limits.ts'
import { requireService } from '../provider/admission.ts'
import { openChannel, tryDeposit } from '../session/openChannel.ts'
import { requireAgent } from '../session/read.ts'
import type { SessionRow } from '../session/store.ts'
import { channelOf } from '../session/view.ts'
import { checkVoucher } from '../session/voucher.ts'
import { observedBatcher } from '../telemetry/observedBatcher.ts'
import { requireOffered } from './requireOffered.ts'
import {
  type Joined,
  type Submission,
  type Submitted,
  selectByKey,
  selectExecution,
  selectRefusal,
  selectRequest,
  submitAll,
} from './store.ts'
import { acceptedRow } from './view.ts'

type Body = OperationInput<typeof operation>['body']

/** Submits runs in batches. */
export type Submitter = Batcher<Submission, Submitted>

/** One per process: concurrent executes share a commit. */
export function createSubmitter(ctx: Pick<Context, 'db' | 'metrics' | 'clock'>): Submitter {
  return observedBatcher<Submission, Submitted>(ctx, 'submit', {
    flush: (items) => submitAll(ctx.db.pool, items),
    keyOf: (item) => `${item.session} ${item.key}`,
    // Two flushes would wait for one another at the session's row.
    groupOf: (item) => item.session,
    concurrency: DATABASE_LIMITS.batchFlushes,
  })
}

/** The voucher is no part of what is asked for: the same request may be repeated with a higher one. */
function hashOf(body: Body): string {
  const { tool, args, maxCostMicros } = body
  return sha256Hex(canonicalJson({ tool, args: args as Json, maxCostMicros: maxCostMicros?.toString() }))
}

/**
 * Accepts a run: checks it, sizes and holds its cost, and sends it to its node. With the same key it is accepted once,
 * and a refusal on money or state stays one.
 *
 * @throws OrienError `not_found`, `session_not_active`, `tool_not_offered`, `validation_failed`, `budget_exhausted`,
 *   `voucher_required`, `voucher_invalid`, `insufficient_funds`, `deposit_refused`, `provider_offline`, …
 */
export async function submitExecution(
  ctx: Context,
  submitter: Submitter,
  caller: Caller,
  input: { sessionId: string; key: string; body: Body; traceparent?: string | undefined },
): Promise<Joined> {
  const beganMs = ctx.clock.monotonicMs()
  const request = await selectRequest(ctx.db.read, input.sessionId, input.body.tool)
  const session = requireAgent(request?.session, caller)
  const hash = hashOf(input.body)
  let submission: Submission
  try {
    submission = await prepare(ctx, session, knownTool(request?.tool), { ...input, hash })
  } catch (error) {
    // A repeated request gets its first answer, whatever would be refused by now.
    const known = await findKnown(ctx, session.id, input.key, hash)
    if (known) return known
    throw error
  }
  const decided = await decide(ctx, submitter, session, submission)
  if (decided.sequence !== null) ctx.bus.publish(session.id, { kind: 'event', sequence: decided.sequence })
  if (decided.outcome === 'refused') throw refusal(decided.code, decided.facts)
  if (decided.outcome === 'accepted') {
    const row = acceptedRow(session, submission, decided)
    const { id, tool, holdMicros } = row.execution
    const facts = { providerId: session.providerId, tool, holdMicros }
    ctx.trails.accepted(id, { beganMs, parent: input.traceparent, facts })
    await setOff(ctx, row)
    return row
  }
  const row = await selectExecution(ctx.db.read, decided.execution)
  if (!row) throw new OrienError('internal_error')
  return row
}

/** Parallel runs move the target. */
const MAX_VOUCHERS = 8

/** Asks for the decision; a voucher that is missing is signed here for a session whose key the custody has. */
async function decide(
  ctx: Context,
  submitter: Submitter,
  session: SessionRow,
  submission: Submission,
): Promise<Submitted> {
  const terms = channelOf(session, ctx.chain)
  let decided = await submitter.submit(submission)
  for (let signed = 0; session.isCustodial && terms && signed < MAX_VOUCHERS; signed += 1) {
    if (decided.code !== 'voucher_required') return decided
    const required = micros(BigInt(decided.facts.requiredCumulativeMicros as string))
    const { cumulativeMicros, signature } = ctx.custody.signVoucher(session.id, terms, required)
    const voucher = { voucher: cumulativeMicros.toString(), voucherSignature: signature }
    decided = await submitter.submit({ ...submission, ...voucher })
  }
  return decided
}

async function setOff(ctx: Context, row: Joined): Promise<void> {
  if (row.session.channelStatus === 'none') await openChannel(ctx, row.session.id)
  if (row.session.channelStatus === 'open') ctx.dispatcher.sendRow(row)
}

type Offered = { tool: PublishedTool; manifest: string }

/** Tools by their JSON: what was read and hashed once need not be again. */
const offered = new Map<string, Offered>()
const KNOWN_TOOLS = 1_000

function knownTool(json: string | null | undefined): Offered | null {
  if (!json) return null
  const known = offered.get(json)
  if (known) return known
  const tool = JSON.parse(json) as PublishedTool
  const read = { tool, manifest: manifestHash(tool) }
  if (offered.size >= KNOWN_TOOLS) offered.clear()
  offered.set(json, read)
  return read
}

function refusal(code: string | null, facts: Record<string, unknown> = {}): OrienError {
  return new OrienError((code ?? 'internal_error') as ErrorCode, undefined, facts)
}

async function findKnown(
  ctx: Context,
  sessionId: string,
  key: string,
  hash: string,
): Promise<Joined | undefined> {
  const row = await selectByKey(ctx.db.read, sessionId, key)
  if (row && row.execution.bodyHash !== hash) throw new OrienError('idempotency_conflict')
  if (row) return row
  const refused = await selectRefusal(ctx.db.read, sessionId, key)
  if (refused && refused.bodyHash !== hash) throw new OrienError('idempotency_conflict')
  if (refused) throw refusal(refused.code, refused.facts as Record<string, unknown>)
  return undefined
}

/** Everything that can be checked before the session is locked. */
async function prepare(
  ctx: Context,
  session: SessionRow,
  offer: Offered | null,
  { key, body, hash }: { key: string; body: Body; hash: string },
): Promise<Submission> {
  if (!offer) throw new OrienError('tool_not_offered', `The provider does not offer ${body.tool}`)
  const { tool, manifest } = offer
  requireOffered(session, tool.id, manifest)
  const args = checkedArguments(tool, body.args)
  if (!ctx.nodes.isOnline(session.providerId))
    throw new OrienError('provider_offline', 'The provider’s node is not connected')
  requireService(ctx, session)
  const terms = channelOf(session, ctx.chain)
  // Without keys there is nothing to check a voucher by. The refusal is the database's all the same: it is kept.
  const voucher = terms && body.voucher
  if (voucher) checkVoucher(terms, voucher, session.budgetMicros)
  if (session.status === 'active' && session.channelStatus === 'none') await tryDeposit(ctx, session)
  return {
    session: session.id,
    execution: ctx.random.id('execution'),
    key,
    body: hash,
    tool: tool.id,
    manifest,
    args,
    salt: ctx.random.word(),
    limits: tool.limits,
    limitMs: tool.limits.timeMs,
    ...(body.maxCostMicros === undefined ? {} : { maxCost: body.maxCostMicros.toString() }),
    ...(voucher ? { voucher: voucher.cumulativeMicros.toString(), voucherSignature: voucher.signature } : {}),
    minimumGrantMs: LIMITS.minimumGrantMs,
    oneGrantMs: LIMITS.oneGrantMs,
    leaseMs: ctx.config.leaseMs,
    maxOpen: LIMITS.openExecutions,
  }
}

function checkedArguments(tool: PublishedTool, given: unknown): ToolArguments {
  if (JSON.stringify(given).length > LIMITS.argumentsBytes) {
    throw new OrienError('payload_too_large', 'The arguments are too large', {
      limitBytes: LIMITS.argumentsBytes,
    })
  }
  const checked = checkArguments(tool.arguments, given)
  if (!checked.ok)
    throw new OrienError('validation_failed', 'The arguments do not fit the tool', { issues: checked.issues })
  return checked.args
}
