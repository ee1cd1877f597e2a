import { systemClock } from '../clock.ts'
import { slotsOf } from './bubblewrapLaunch.ts'
import { runCanaries } from './canaries.ts'
import type { RunContext, SlotContext } from './context.ts'
import type { Driver, Isolation, Run, SandboxMode } from './driver.ts'
import { Pool } from './pool.ts'
import { type Ready, startRun } from './sandboxRun.ts'
import { type BubblewrapOptions, setUp } from './setUp.ts'

export type { BubblewrapOptions } from './setUp.ts'

type ModeReason = NonNullable<Isolation['modeReason']>

/** A driver that is set up, with the mode that this machine allows, or the reason why it cannot be. */
type Opened =
  | {
      ok: true
      context: RunContext
      slots: SlotContext
      pool: Pool
      mode: SandboxMode
      modeReason?: ModeReason
    }
  | { ok: false; refusal: NonNullable<Isolation['refusal']> }

const NO_COUNTS = { idle: 0, made: 0, reused: 0, discarded: 0 }

/** What was asked for, or the next best thing: figures of one run must never be those of the runs before it. */
function chooseMode(
  { cgroups }: RunContext,
  wanted: SandboxMode,
): { mode: SandboxMode; modeReason?: ModeReason } {
  if (wanted !== 'resident' || !cgroups || cgroups.canRebase) return { mode: wanted }
  const detail = 'this kernel cannot count the peak memory of several runs in one group (Linux 6.12 can)'
  return { mode: 'warm', modeReason: { code: 'memory_peak_not_resettable', detail } }
}

async function open(options: BubblewrapOptions): Promise<Opened> {
  const result = await setUp(options)
  if (!result.ok) return result
  const { context } = result
  const chosen = chooseMode(context, options.mode ?? 'warm')
  const slots = slotsOf(context)
  return {
    ok: true,
    context,
    slots,
    pool: new Pool(slots, chosen.mode, options.clock ?? systemClock),
    ...chosen,
  }
}

const readyOf = (opened: Opened): Ready =>
  opened.ok
    ? { ok: true, pool: opened.pool, context: opened.slots }
    : { ok: false, detail: opened.refusal.detail }

/** The driver for Linux: bubblewrap around every run. Sets itself up on first use. */
export function createBubblewrapDriver(options: BubblewrapOptions): Driver {
  let opened: Promise<Opened> | undefined
  let now: Opened | undefined
  const running = new Set<Run>()
  const getOpened = () => {
    opened ??= open(options).then((result) => {
      now = result
      return result
    })
    return opened
  }
  const driver: Driver = {
    name: 'bubblewrap',
    detect: () =>
      getOpened().then((result) => (result.ok ? prove(driver, result, options) : refused(result.refusal))),
    run: (spec, onOutput) => {
      const run = startRun(getOpened().then(readyOf), spec, onOutput)
      running.add(run)
      run.finished.then(() => running.delete(run))
      return run
    },
    release: async (workspaceDir) => {
      if (now?.ok) await now.pool.release(workspaceDir)
    },
    counts: () => (now?.ok ? now.pool.counts() : NO_COUNTS),
    close: async () => {
      for (const run of running) run.kill('cancelled')
      await Promise.all([...running].map((run) => run.finished))
      const result = await opened
      if (result?.ok) {
        await result.pool.close()
        await result.context.spawner.close()
        result.context.cgroups?.close()
        await result.context.reach.close()
      }
      opened = now = undefined
    },
  }
  return driver
}

const refused = (
  refusal: NonNullable<Isolation['refusal']>,
  canaries: Isolation['canaries'] = [],
): Isolation => ({
  driver: 'bubblewrap',
  isolationClass: 'none',
  servesStrangers: false,
  refusal,
  canaries,
})

/** Where sandboxes are used again, one that has been used must hold as well as a fresh one. */
async function prove(
  driver: Driver,
  { context, mode, modeReason }: Extract<Opened, { ok: true }>,
  { stateDir }: BubblewrapOptions,
): Promise<Isolation> {
  const { canaries, facts } = await runCanaries(driver, stateDir, mode === 'resident' ? 2 : 1)
  if (facts.stop === 'sandbox_error')
    return refused({ code: 'userns_forbidden', detail: facts.detail ?? 'a sandbox could not be set up' })
  const escaped = canaries.filter(({ contained }) => !contained).map(({ name }) => name)
  if (escaped.length > 0)
    return refused({ code: 'canary_failed', detail: `not contained: ${escaped.join(', ')}` }, canaries)
  return {
    driver: 'bubblewrap',
    isolationClass: context.cgroups ? 'namespaces+cgroups' : 'namespaces',
    servesStrangers: true,
    mode,
    ...(modeReason ? { modeReason } : {}),
    canaries,
  }
}
