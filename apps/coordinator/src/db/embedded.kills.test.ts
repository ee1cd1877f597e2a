import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { accountFor } from './embedded/account.ts'
import { locateBinaries } from './embedded/binaries.ts'
import { useCluster } from './embedded/fixtures/cluster.ts'
import { killHard, query, recordEvents, startSupervisor } from './embedded/fixtures/faults.ts'
import { brokenPairs, type ClientLog, makePairs, writePairsUntilCut } from './embedded/fixtures/writers.ts'
import { planLauncher } from './embedded/launcher.ts'
import { freePort } from './embedded/port.ts'
import { startPostmaster } from './embedded/postmaster.ts'
import { postgresProcesses } from './embedded/remains.ts'

const { dataDir, clusterDir, start } = useCluster()
const WHOLE = { lost: [], half: [], twice: 0 }
const CLIENTS = 4
// Each round starts a process that loads all of the supervisor, on a machine that is busy with other tests.
const TWENTY_STARTS = { timeout: 400_000 }
const RECOVERS = { timeout: 60_000 }

const newLog = (): ClientLog => ({ acknowledged: [], nextId: 1 })

describe('twenty times in a row, at once and in the middle of transactions', () => {
  test(
    'kill -9 of the supervisor, each second time with its postmaster: every start succeeds, and no acknowledged pair is lost or half',
    TWENTY_STARTS,
    async () => {
      const log = newLog()
      const first = await start()
      await makePairs(first.url)
      await first.stop()
      for (let round = 1; round <= 20; round += 1) {
        const { child, answer } = await startSupervisor(dataDir)
        expect(answer).toMatchObject({ url: expect.any(String), pid: expect.any(Number) })
        const enough = log.acknowledged.length + 10 + round
        await writePairsUntilCut(answer.url ?? '', log, CLIENTS, () => {
          if (log.acknowledged.length !== enough) return
          if (round % 2 === 0) process.kill(answer.pid ?? 0, 'SIGKILL')
          child.kill('SIGKILL')
        })
        await killHard(child)
      }
      expect(log.acknowledged.length).toBeGreaterThanOrEqual(20 * 10 + 210)
      expect(await brokenPairs((await start()).url, log)).toEqual(WHOLE)
    },
  )
})

describe('a fault of PostgreSQL under a supervisor that lives', () => {
  test(
    'kill -9 of one backend: PostgreSQL recovers by itself, and no acknowledged pair is lost or half',
    RECOVERS,
    async () => {
      const log = newLog()
      const { url, status } = await start()
      await makePairs(url)
      const victim = new pg.Client({ connectionString: url })
      victim.on('error', () => {})
      await victim.connect()
      const { rows } = await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      await writePairsUntilCut(url, log, CLIENTS, () => {
        if (log.acknowledged.length === 50) process.kill(rows[0]?.pid ?? 0, 'SIGKILL')
      })
      await expect
        .poll(() => query(url, 'SELECT 1 AS one').catch(() => null), { timeout: 15_000 })
        .toEqual([{ one: 1 }])
      expect(await brokenPairs(url, log)).toEqual(WHOLE)
      expect(status()).toMatchObject({ state: 'running', restarts: 0 })
      await victim.end().catch(() => {})
    },
  )

  test.each(['SIGQUIT', 'SIGTERM', 'SIGINT', 'SIGSEGV'] as const)(
    'an end by %s, clean or not: it is back, and no acknowledged pair is lost or half',
    RECOVERS,
    async (signal) => {
      const log = newLog()
      const events = recordEvents()
      const { url, status } = await start({ log: events.log })
      await makePairs(url)
      await writePairsUntilCut(url, log, CLIENTS, () => {
        if (log.acknowledged.length !== 50) return
        process.kill(status().pid, signal)
        // A smart shutdown waits for its clients, which write on until then.
        if (signal === 'SIGTERM') process.kill(status().pid, 'SIGINT')
      })
      await events.times('postgres.restarted', 1)
      expect(await brokenPairs(url, log)).toEqual(WHOLE)
    },
  )

  test('kill -9 of the postmaster: its shared memory is gone when the next one runs', async () => {
    const events = recordEvents()
    const { status } = await start({ log: events.log })
    const before = sharedMemoryOf(clusterDir)
    expect(before).not.toBeNull()
    process.kill(status().pid, 'SIGKILL')
    await events.times('postgres.restarted', 1)
    const segments = readFileSync('/proc/sysvipc/shm', 'utf8').split('\n')
    const left = segments.filter((row) => row.trim().split(/\s+/)[1] === before)
    expect(sharedMemoryOf(clusterDir) === before ? [] : left).toEqual([])
  })
})

describe('an orphan that does not listen', () => {
  test('because somebody stopped it (SIGSTOP) is woken and shut down by the next start', async () => {
    const launcher = planLauncher(dataDir, await locateBinaries(), await accountFor(clusterDir))
    const orphan = await startPostmaster(launcher, clusterDir, await freePort(), () => {})
    process.kill(orphan.pid, 'SIGSTOP')
    const { url } = await start()
    expect(await orphan.exited).toEqual({ exitCode: 0, signal: null })
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('because only its backends are left, computing, is ended by the next start', async () => {
    const { child, answer } = await startSupervisor(dataDir)
    const client = new pg.Client({ connectionString: answer.url })
    const isCut = once(client, 'error')
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    client.query('SELECT count(*) FROM generate_series(1, 1e12)').catch(() => {})
    const state = `SELECT state FROM pg_stat_activity WHERE pid = ${rows[0]?.pid}`
    await expect.poll(() => query(answer.url ?? '', state)).toEqual([{ state: 'active' }])
    process.kill(answer.pid ?? 0, 'SIGKILL')
    await killHard(child)
    const { url } = await start()
    await isCut
    expect(postgresProcesses(clusterDir, null)).not.toContain(rows[0]?.pid)
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })
})

/** The id on the seventh line of postmaster.pid. */
function sharedMemoryOf(cluster: string): string | null {
  const line = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[6]
  return line?.trim().split(/\s+/)[1] ?? null
}
