import {
  add,
  channelId,
  checkArguments,
  type Dispatch,
  deadlineMs,
  type ErrorCode,
  type Extension,
  sessionSalt,
  type ToolArguments,
  type UsdcMicros,
  ZERO,
} from '@orien/protocol'
import { checkVoucher } from '@orien/sdk'
import { buildArgv } from '../argv/build.ts'
import type { SignedOffer } from '../identity/offer.ts'
import type { Session } from '../journal/state.ts'
import type { Tool, ToolSet } from '../manifest/tools.ts'

/** Why a dispatch is not run. */
export type Refusal = { code: ErrorCode; detail: string }

/** Work whose tool and arguments are sound. */
export type CheckedWork = { tool: Tool; args: ToolArguments; argv: readonly string[] }

const refuse = (code: ErrorCode, detail: string): Refusal => ({ code, detail })

/** Whether a check ended in a refusal. */
export function isRefusal(value: object | null): value is Refusal {
  return value !== null && 'code' in value
}

/** What the dispatch asks for: a tool of the offer as we know it, arguments in its schema, a sound command line. */
export function checkWork(
  work: Dispatch,
  tools: ToolSet,
  retired: ReadonlyMap<string, Tool> = new Map(),
): CheckedWork | Refusal {
  const current = tools.get(work.tool)
  // The hash names the tool's id, too.
  const tool = current?.hash === work.manifestHash ? current : retired.get(work.manifestHash)
  if (!tool && !current) return refuse('tool_not_offered', `there is no tool ${work.tool} here`)
  if (!tool) return refuse('tool_not_offered', `${work.tool} has changed since the session began`)
  const checked = checkArguments(tool.manifest.arguments, work.args)
  if (!checked.ok) return refuse('validation_failed', sentence(checked.issues))
  const built = buildArgv(tool.manifest, checked.args)
  if (!built.ok) return refuse('validation_failed', sentence(built.issues))
  return { tool, args: checked.args, argv: built.argv }
}

const sentence = (issues: readonly { path: string; message: string }[]) =>
  issues.map(({ path, message }) => `${path} ${message}`).join('; ')

/** What the dispatch promises for it: our own offer, its rate, a deadline within the hold. */
export function checkTerms(
  work: Dispatch,
  offer: SignedOffer | undefined,
  session: Session | undefined,
  nowMs: number,
): Refusal | null {
  if (!offer) return refuse('receipt_mismatch', 'the offer is not one of ours')
  if (session && session.offerHash !== offer.hash)
    return refuse('receipt_mismatch', 'a session keeps its offer')
  const isNew = !session || session.head.sequence === 0
  if (isNew && nowMs > Date.parse(offer.offer.validUntil))
    return refuse('receipt_mismatch', 'the offer has expired')
  if (!offer.offer.tools.some((tool) => tool.id === work.tool && tool.manifestHash === work.manifestHash))
    return refuse('tool_not_offered', `the offer does not name this ${work.tool}`)
  if (work.rateMicrosPerMinute !== offer.offer.rateMicrosPerMinute)
    return refuse('receipt_mismatch', 'the rate is not that of the offer')
  if (work.deadlineMs > deadlineMs(work.holdMicros, work.rateMicrosPerMinute))
    return refuse('budget_exhausted', 'the deadline is later than the hold pays for')
  if (session && (session.ended || session.closed || session.forgotten))
    return refuse('session_not_active', 'the session has ended')
  return null
}

/** What an extension promises: of the same run, up to what was dispatched, a deadline within the hold. */
export function checkExtension(
  work: Dispatch,
  { sessionId, holdMicros, deadlineMs: laterMs }: Extension,
  session: Session | undefined,
): Refusal | null {
  if (sessionId !== work.sessionId) return refuse('receipt_mismatch', 'the run is of another session')
  if (work.mostMicros === undefined || holdMicros > work.mostMicros)
    return refuse('budget_exhausted', 'the run was not dispatched for that much')
  if (laterMs > deadlineMs(holdMicros, work.rateMicrosPerMinute))
    return refuse('budget_exhausted', 'the deadline is later than the hold pays for')
  if (!session || session.ended || session.closed || session.forgotten)
    return refuse('session_not_active', 'the session has ended')
  return null
}

/** The channel the dispatch names: ours, of this session alone, and always the same one. */
export function checkChannelTerms(
  work: Pick<Dispatch, 'channel' | 'sessionId'>,
  offer: SignedOffer['offer'],
  session: Session | undefined,
): Refusal | null {
  const { channel } = work
  if (channel.payee !== offer.payout) return refuse('voucher_invalid', 'the channel pays someone else')
  if (channel.chainId !== offer.chainId || channel.escrow !== offer.escrow || channel.token !== offer.token)
    return refuse('voucher_invalid', 'the channel is of another contract, token or chain than the offer')
  // One channel for two sessions would let one deposit pay for both.
  if (channel.salt !== sessionSalt(work.sessionId))
    return refuse('voucher_invalid', 'the channel belongs to another session')
  if (session?.channel && channelId(session.channel) !== channelId(channel))
    return refuse('voucher_invalid', 'a session keeps its channel')
  return null
}

/**
 * The voucher: signed by the session key in the one form that the contract takes. It, or a higher one that was checked
 * before it (dispatches may overtake each other), covers everything that is signed or under way in the session and
 * this run.
 */
export function checkCover(
  work: Pick<Dispatch, 'channel' | 'voucher' | 'holdMicros'>,
  committed: { receiptsMicros: UsdcMicros; openHoldsMicros: UsdcMicros; knownVoucherMicros: UsdcMicros },
): Refusal | null {
  const { channel, voucher, holdMicros } = work
  const neededMicros = add(committed.receiptsMicros, committed.openHoldsMicros, holdMicros)
  const isCovered = committed.knownVoucherMicros >= neededMicros
  const checked = checkVoucher(channel, voucher, isCovered ? ZERO : neededMicros)
  return checked.ok ? null : refuse(checked.code, checked.detail)
}
