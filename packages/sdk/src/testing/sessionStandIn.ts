import {
  type ChannelTerms,
  channelId,
  durationMs,
  type ExecutionView,
  executionView,
  type Hex,
  jwsHash,
  micros,
  type Receipt,
  readReceipt,
  type SessionView,
  sessionSalt,
  sessionView,
  sizeGrant,
  subtract,
  type UsdcMicros,
  ZERO,
} from '@orien/protocol'
import { CHAIN_ID, ESCROW, newId, type ProviderStandIn, RATE, TOKEN, TOOL } from './providerStandIn.ts'

const INSTANT = '2026-11-23T04:00:00.000Z'

/** A run in a stand-in's memory. */
export type RunStandIn = { view: ExecutionView; holdMicros: UsdcMicros }

/** A session in a stand-in's memory: it keeps the rules of money, and runs nothing. */
export class SessionStandIn {
  readonly id = newId('session')
  readonly provider: ProviderStandIn
  readonly runs = new Map<string, RunStandIn>()
  readonly byKey = new Map<string, string>()
  readonly receipts: string[] = []
  readonly events: { sequence: number; type: string; at: string; data: object }[] = []
  readonly files = new Map<string, Buffer>()
  /** Uploads of which not all has come. */
  readonly drafts = new Map<string, Buffer>()
  status: SessionView['status'] = 'pending'
  budgetMicros: UsdcMicros
  authorisedMicros = ZERO
  channel: ChannelTerms | undefined
  /** Called at every new event. */
  onEvent = () => {}

  constructor(provider: ProviderStandIn, budgetMicros: UsdcMicros) {
    this.provider = provider
    this.budgetMicros = budgetMicros
  }

  get consumedMicros(): UsdcMicros {
    const last = this.receipts.at(-1)
    return (last && readReceipt(last)?.receipt.cumulativeMicros) || ZERO
  }

  get heldMicros(): UsdcMicros {
    let sum = 0n
    for (const { view, holdMicros } of this.runs.values()) if (view.status === 'running') sum += holdMicros
    return micros(sum)
  }

  start(payer: Hex, authorizedSigner: Hex): void {
    const salt = sessionSalt(this.id)
    const { payout: payee } = this.provider
    this.channel = { chainId: CHAIN_ID, escrow: ESCROW, token: TOKEN, payer, payee, salt, authorizedSigner }
    this.status = 'active'
    this.emit('session.started', {})
  }

  emit(type: string, data: object): void {
    this.events.push({ sequence: this.events.length + 1, type, at: INSTANT, data })
    this.onEvent()
  }

  /** Sizes a run's hold; null when the budget does not allow one. */
  hold(maxCostMicros: UsdcMicros | undefined): UsdcMicros | null {
    const unheldMicros = subtract(this.budgetMicros, micros(this.consumedMicros + this.heldMicros))
    const limitMs = durationMs(TOOL.timeMs)
    const grant = sizeGrant({ rate: RATE, limitMs, maxCostMicros, unheldMicros })
    return grant.ok ? grant.holdMicros : null
  }

  begin(holdMicros: UsdcMicros): RunStandIn {
    const view = executionView.decode({
      id: newId('execution'),
      sessionId: this.id,
      providerId: this.provider.id,
      tool: TOOL.id,
      status: 'running',
      exitCode: null,
      grant: this.runs.size + 1,
      holdMicros: holdMicros.toString(),
      deadlineMs: TOOL.timeMs,
      limits: {
        timeMs: TOOL.timeMs,
        memoryBytes: 8_388_608,
        processes: 1,
        diskBytes: 1_048_576,
        outputBytes: 1_024,
      },
      effectiveMs: 0,
      cpuMs: 0,
      maxRssBytes: 0,
      costMicros: '0',
      argumentsSalt: `0x${'00'.repeat(32)}`,
      createdAt: INSTANT,
    })
    const run = { view, holdMicros }
    this.runs.set(view.id, run)
    this.emit('execution.started', { executionId: view.id })
    return run
  }

  /** Ends a run with a signed receipt; `change` makes it a wrong one. */
  finish(run: RunStandIn, effectiveMs: number, change: Partial<Receipt> = {}): void {
    const last = this.receipts.at(-1)
    const jws = this.provider.receipt(
      {
        executionId: run.view.id,
        sessionId: this.id,
        channelId: this.channel ? channelId(this.channel) : '0x',
        sequence: this.receipts.length + 1,
        previous: jwsHash(last ?? this.provider.offerText),
        cumulativeBefore: this.consumedMicros,
        effectiveMs,
        holdMicros: run.holdMicros,
      },
      change,
    )
    this.receipts.push(jws)
    const { costMicros, status, reason, exitCode } = readReceipt(jws)?.receipt ?? {
      costMicros: ZERO,
      status: 'failed' as const,
      exitCode: 1,
    }
    const told = { effectiveMs, costMicros, exitCode, receipt: jws, status, ...(reason ? { reason } : {}) }
    run.view = { ...run.view, ...told }
    this.emit(`execution.${status}`, { executionId: run.view.id })
  }

  /** On the wire. */
  view(change: Partial<SessionView> = {}) {
    const { consumedMicros, heldMicros, channel, provider } = this
    const view: SessionView = {
      id: this.id,
      agentId: newId('agent'),
      providerId: provider.id,
      status: this.status,
      rail: 'escrow',
      rateMicrosPerMinute: RATE,
      budgetMicros: this.budgetMicros,
      consumedMicros,
      heldMicros,
      remainingMicros: micros(this.budgetMicros - consumedMicros - heldMicros),
      authorisedMicros: this.authorisedMicros,
      effectiveMs: 0,
      executions: this.runs.size,
      offer: provider.offerText,
      payment: {
        chainId: CHAIN_ID,
        escrow: ESCROW,
        token: TOKEN,
        tokenName: 'USDC',
        tokenVersion: '2',
        payee: provider.payout,
        salt: sessionSalt(this.id),
        closeGraceMs: 900_000,
        minimumDepositMicros: micros(10_000n),
      },
      ...(channel ? { channel, channelId: channelId(channel) } : {}),
      channelStatus: channel ? 'open' : 'none',
      createdAt: INSTANT,
      ...change,
    }
    return sessionView.encode(view)
  }
}
