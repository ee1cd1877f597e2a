import type { ChannelWatch } from '../admission/channelWatch.ts'
import { guardChannels } from '../admission/guardChannels.ts'
import { dropSettled } from '../claims/dropSettled.ts'
import type { SelfClaim } from '../claims/selfClaim.ts'
import type { Clock } from '../clock.ts'
import type { EarningsBook } from '../earnings/book.ts'
import type { Journal } from '../journal/journal.ts'
import type { Timing } from '../limits.ts'
import type { Delivery } from '../link/delivery.ts'
import type { Log } from '../log.ts'
import type { WatchedWorkspaces } from '../run/idleWorkspaces.ts'
import type { Runs } from '../run/runs.ts'

/** What is done again and again while the node runs. */
export type ChoresContext = {
  runs: Runs
  journal: Journal
  channels: ChannelWatch
  workspaces: WatchedWorkspaces
  earnings: Pick<EarningsBook, 'note'>
  delivery: Pick<Delivery, 'repeatUnanswered'>
  /** Absent where the node has no way of its own to send a transaction. */
  selfClaim: SelfClaim | undefined
  isLive(): boolean
  /** Makes a new offer when the present one is past its half. */
  renewOffer(): Promise<void>
  clock: Clock
  timing: Pick<
    Timing,
    'channelFreshMs' | 'claimLookMs' | 'receiptRetryMs' | 'sweepEveryMs' | 'workspaceIdleMs'
  >
  log: Log
}

/** The chores, and one of them that can be asked for out of turn. */
export type Chores = { dropSettled(): void; stop(): void }

export function startChores(context: ChoresContext): Chores {
  const { runs, journal, channels, clock, timing, log } = context
  const isOpen = (sessionId: string) => runs.isOpen(sessionId)
  const settled = { journal, channels, isOpen, earnings: context.earnings, nowMs: clock.nowMs, log }
  const guarded = {
    state: journal.state,
    channels,
    openSessions: () => runs.openSessions(),
    stopSession: (sessionId: string) => runs.stopSession(sessionId, 'authorization_expired'),
    log,
  }
  let isDropping = false
  async function drop(): Promise<void> {
    if (isDropping) return
    isDropping = true
    await dropSettled(settled).finally(() => {
      isDropping = false
    })
  }
  async function sweep(): Promise<void> {
    await drop()
    await context.workspaces.destroyIdle(timing.workspaceIdleMs, isOpen)
    await context.renewOffer()
  }
  /** One line a run, also of one that fails; the next one comes all the same. */
  async function run(job: string, task: () => Promise<void>): Promise<void> {
    const startMs = clock.monotonicMs()
    const tell = () => ({ event: 'job', job, durationMs: Math.round(clock.monotonicMs() - startMs) })
    await task().then(
      () => log.info({ ...tell(), status: 'done' }),
      (error: unknown) => log.error({ ...tell(), status: 'failed', err: error }),
    )
  }
  const { selfClaim } = context
  const claim = async () => selfClaim && run('claim', selfClaim.look)
  const claimEveryMs = () => (context.isLive() ? timing.channelFreshMs : timing.claimLookMs)
  const stops = [
    repeat(clock, timing.channelFreshMs, () => run('guard', () => guardChannels(guarded))),
    repeat(clock, timing.receiptRetryMs, async () => context.delivery.repeatUnanswered()),
    repeat(clock, timing.sweepEveryMs, () => run('sweep', sweep)),
    repeat(clock, claimEveryMs, claim),
  ]
  void run('drop settled', drop)
  return {
    dropSettled: () => void run('drop settled', drop),
    stop: () => {
      for (const stop of stops) stop()
    },
  }
}

/** Does something every so often, the pause counted from its end. */
function repeat(clock: Clock, everyMs: number | (() => number), task: () => Promise<void>): () => void {
  const pauseMs = () => (typeof everyMs === 'number' ? everyMs : everyMs())
  let isStopped = false
  let cancel = clock.after(pauseMs(), run)
  function run(): void {
    void task().then(() => {
      if (!isStopped) cancel = clock.after(pauseMs(), run)
    })
  }
  return () => {
    isStopped = true
    cancel()
  }
}
