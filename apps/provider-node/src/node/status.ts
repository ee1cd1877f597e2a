import type { Provider } from '../identity/providerFile.ts'
import type { Journal } from '../journal/journal.ts'
import type { RuleBook } from '../rules/ruleBook.ts'
import type { ToolStage } from '../stage.ts'
import type { Drain } from './drain.ts'
import type { Providing } from './provide.ts'
import { VERSION } from './version.ts'

/** What the node's own account of itself is made of. */
export type StatusContext = {
  provider: Provider
  journal: Pick<Journal, 'state'>
  stage: ToolStage
  rules: RuleBook
  providing: Providing
  drain: Drain
  startedAt: string
}

/** What a supervisor looks at; refused receipts stay here until their session is final. */
export function healthOf({
  provider,
  journal,
  stage,
  rules,
  providing,
}: StatusContext): Record<string, unknown> {
  const pending = [...journal.state.pendingReceipts.values()]
  const refused = pending.flatMap(({ executionId, sessionId, refusal }) =>
    refusal ? [{ executionId, sessionId, code: refusal.code, detail: refusal.detail }] : [],
  )
  const { registration, rateMicrosPerMinute } = provider
  const selfClaim = providing.claimStatus()
  return {
    status: 'ok',
    version: VERSION,
    providerId: registration.providerId,
    rateMicrosPerMinute: rateMicrosPerMinute.toString(),
    driver: stage.isolation.driver,
    isolation: stage.isolation.isolationClass,
    ...(stage.downgrade ? { isolationDowngrade: stage.downgrade } : {}),
    ...(stage.isolation.refusal ? { refusesStrangers: stage.isolation.refusal } : {}),
    sandboxes: sandboxesOf(stage),
    mode: rules.current().mode,
    link: providing.linkStatus(),
    ...(selfClaim ? { selfClaim } : {}),
    ...providing.runs.counts(),
    slots: stage.scheduler.slots().slots,
    sessions: journal.state.sessions.size,
    unacknowledgedReceipts: pending.length - refused.length,
    refusedReceipts: refused,
  }
}

/** Everything that the owner may want to see at once. Amounts are decimal strings of micro-USDC. */
export function statusOf(context: StatusContext): Record<string, unknown> {
  const { provider, journal, stage, rules, providing, drain, startedAt } = context
  const { registration } = provider
  const runs = providing.runs.underWay()
  const sessions = [...journal.state.sessions.values()].map((session) => {
    const { sessionId, channel, head, voucher } = session
    const state = session.forgotten
      ? 'settled'
      : session.closed
        ? 'closing'
        : session.ended
          ? 'ended'
          : 'open'
    return {
      sessionId,
      state,
      ...(channel ? { payer: channel.payer } : {}),
      receipts: head.sequence,
      earnedMicros: head.cumulativeMicros.toString(),
      authorisedMicros: (voucher?.cumulativeMicros ?? 0n).toString(),
      runs: runs.filter((run) => run.sessionId === sessionId).length,
    }
  })
  return {
    ...healthOf(context),
    name: registration.name,
    payout: registration.payout,
    startedAt,
    limits: rules.current().limits,
    sessionSlots: stage.scheduler.slots().sessionSlots,
    blocked: rules.current().blocked,
    tools: [...stage.tools.values()].map(({ manifest, hash }) => ({ id: manifest.id, manifestHash: hash })),
    leftovers: providing.leftovers(),
    isDrained: drain.isDone(),
    runs,
    sessions,
  }
}

/** How runs get their sandboxes, why not better, and how many there are. */
export function sandboxesOf({ driver, isolation }: ToolStage): Record<string, unknown> {
  const { mode, modeReason } = isolation
  return { ...(mode ? { mode } : {}), ...(modeReason ? { modeReason } : {}), ...driver.counts() }
}
