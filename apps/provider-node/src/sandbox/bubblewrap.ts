import { runCanaries } from './canaries.ts'
import type { RunContext } from './context.ts'
import type { Driver, Isolation, Run } from './driver.ts'
import { startRun } from './sandboxRun.ts'
import { type BubblewrapOptions, setUp } from './setUp.ts'

export type { BubblewrapOptions } from './setUp.ts'

/** The driver for Linux: a fresh bubblewrap sandbox for each run. Sets itself up on first use. */
export function createBubblewrapDriver(options: BubblewrapOptions): Driver {
  let ready: ReturnType<typeof setUp> | undefined
  const running = new Set<Run>()
  const getReady = () => {
    ready ??= setUp(options)
    return ready
  }
  const driver: Driver = {
    name: 'bubblewrap',
    detect: () =>
      getReady().then((result) =>
        result.ok ? prove(driver, result.context, options) : refused(result.refusal),
      ),
    run: (spec, onOutput) => {
      const run = startRun(getReady(), spec, onOutput)
      running.add(run)
      run.finished.then(() => running.delete(run))
      return run
    },
    close: async () => {
      for (const run of running) run.kill('cancelled')
      await Promise.all([...running].map((run) => run.finished))
      const result = await ready
      if (result?.ok) {
        result.context.cgroups?.close()
        await result.context.reach.close()
      }
      ready = undefined
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

async function prove(
  driver: Driver,
  context: RunContext,
  { stateDir }: BubblewrapOptions,
): Promise<Isolation> {
  const { canaries, facts } = await runCanaries(driver, stateDir)
  if (facts.stop === 'sandbox_error')
    return refused({ code: 'userns_forbidden', detail: facts.detail ?? 'a sandbox could not be set up' })
  const escaped = canaries.filter(({ contained }) => !contained).map(({ name }) => name)
  if (escaped.length > 0)
    return refused({ code: 'canary_failed', detail: `not contained: ${escaped.join(', ')}` }, canaries)
  return {
    driver: 'bubblewrap',
    isolationClass: context.cgroups ? 'namespaces+cgroups' : 'namespaces',
    servesStrangers: true,
    canaries,
  }
}
