import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { useCluster } from './embedded/fixtures/cluster.ts'
import { query, recordEvents } from './embedded/fixtures/faults.ts'
import type { EmbeddedPostgresEvent } from './embedded.ts'
import { createHealthProbe } from './health.ts'

const { start } = useCluster()

/** Three falls in a row, with pauses that a test can wait for. */
const POLICY = { firstRestartPauseMs: 1, longestRestartPauseMs: 4, restartAttempts: 3, settledMs: 600_000 }

const kill = (pid: number) => process.kill(pid, 'SIGKILL')

// Each death is a recovery, which takes seconds on a machine that is busy with other tests.
describe('PostgreSQL that dies soon after each of its starts', { timeout: 60_000 }, () => {
  test('is started again up to the limit, then stays down, coded, and health says so', async () => {
    const events = recordEvents()
    const killNext = (entry: EmbeddedPostgresEvent) => {
      if (entry.event === 'postgres.restarted') kill(entry.pid)
      events.log(entry)
    }
    const { url, status } = await start({ log: killNext, restartPolicy: POLICY })
    const probe = createHealthProbe({
      url,
      clock: systemClock,
      hasGivenUp: () => status().state === 'failed',
    })
    expect(await probe.read()).toBe('ok')
    kill(status().pid)
    await events.times('postgres.gave_up', 1)
    expect(status()).toMatchObject({
      state: 'failed',
      restarts: 2,
      failure: { code: 'setup_failed', facts: { reason: 'crash_loop', hint: expect.any(String) } },
    })
    expect(await probe.read()).toBe('crash_loop')
    await probe.close()
  })

  test('because its port is taken waits longer and longer, and is never given up', async () => {
    const events = recordEvents()
    const squatter = createServer()
    const { url, port, status } = await start({
      log: (entry) => {
        events.log(entry)
        if (entry.event === 'postgres.died') squatter.listen(port)
      },
      restartPolicy: POLICY,
    })
    kill(status().pid)
    await events.times('postgres.restart_failed', 2 * POLICY.restartAttempts)
    const pauses = events.seen.flatMap((entry) =>
      entry.event === 'postgres.restart_failed' ? [entry.nextAttemptMs] : [],
    )
    expect(pauses.slice(0, 4)).toEqual([2, 4, 4, 4])
    squatter.close()
    await events.times('postgres.restarted', 1)
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('is no loop when it had settled before each death', async () => {
    const events = recordEvents()
    const { status } = await start({ log: events.log, restartPolicy: { ...POLICY, settledMs: 0 } })
    for (let round = 1; round <= 2 * POLICY.restartAttempts; round += 1) {
      kill(status().pid)
      await events.times('postgres.restarted', round)
    }
    expect(status()).toMatchObject({ state: 'running', failure: null })
  })

  test('and stays down can be stopped, and the next start begins anew', async () => {
    const events = recordEvents()
    const policy = { ...POLICY, restartAttempts: 1 }
    const postgres = await start({ log: events.log, restartPolicy: policy })
    kill(postgres.status().pid)
    await events.times('postgres.gave_up', 1)
    await postgres.stop()
    const { url } = await start()
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })
})
