import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { accountFor } from './embedded/account.ts'
import { locateBinaries } from './embedded/binaries.ts'
import { useCluster } from './embedded/fixtures/cluster.ts'
import {
  killHard,
  lostCommits,
  newDir,
  program,
  query,
  recordEvents,
  spawnOnSmallDisk,
  spawnSupervisor,
  startSupervisor,
  writeUntilCut,
} from './embedded/fixtures/faults.ts'
import { planLauncher } from './embedded/launcher.ts'
import { freePort } from './embedded/port.ts'
import { startPostmaster } from './embedded/postmaster.ts'
import { postgresProcesses } from './embedded/remains.ts'

// initdb takes a second, and ten on a machine that is busy with other tests.
const MAKES_A_CLUSTER = { timeout: 60_000 }

const { dataDir, clusterDir, start } = useCluster()
const pidFile = join(clusterDir, 'postmaster.pid')

/** Writes until `fault` cuts it, which happens after fifty acknowledged commits. */
async function writeThroughFault(url: string, fault: () => unknown): Promise<number[]> {
  const enough = Promise.withResolvers<void>()
  const writing = writeUntilCut(url, (count) => count === 50 && enough.resolve())
  await enough.promise
  await fault()
  return writing
}

describe('kill -9 of the supervisor', () => {
  test('loses no acknowledged commit, and the next start succeeds at once', async () => {
    const { child, answer } = await startSupervisor(dataDir)
    const acknowledged = await writeThroughFault(answer.url ?? '', () => killHard(child))
    const { url } = await start()
    expect(await lostCommits(url, acknowledged)).toEqual([])
  })

  test('makes the kernel stop PostgreSQL, without another start', async () => {
    const { child } = await startSupervisor(dataDir)
    await killHard(child)
    await expect.poll(() => postgresProcesses(clusterDir, null), { timeout: 10_000 }).toEqual([])
  })

  test('an orphan that nobody stopped is shut down by the next start, open transactions or not', async () => {
    const launcher = planLauncher(dataDir, await locateBinaries(), await accountFor(clusterDir))
    const port = await freePort()
    const lines: string[] = []
    const orphan = await startPostmaster(launcher, clusterDir, port, (line) => lines.push(line))
    const password = readFileSync(join(dataDir, 'password'), 'utf8')
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'orien', database: 'orien', password })
    client.on('error', () => {})
    await client.connect()
    await client.query('BEGIN')
    const events = recordEvents()
    const { url } = await start({ log: events.log })
    expect(await orphan.exited).toEqual({ exitCode: 0, signal: null })
    // Asked to, and given its time: a signal that ends backends first would leave a recovery to do.
    expect(lines.join('\n')).toMatch(/received fast shutdown request[\s\S]*database system is shut down/)
    expect(events.count('postgres.orphan_stopped')).toBe(1)
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test(
    'in the middle of initdb leaves a directory in which the next start succeeds',
    MAKES_A_CLUSTER,
    async () => {
      const freshDir = newDir()
      const { child } = spawnSupervisor([process.execPath, program, freshDir])
      const isHalfDone = () =>
        readdirSync(freshDir).some((name) =>
          existsSync(join(freshDir, name, 'cluster', 'global', 'pg_control')),
        )
      await expect.poll(isHalfDone, { interval: 5, timeout: 30_000 }).toBe(true)
      await killHard(child)
      expect(existsSync(join(freshDir, 'cluster'))).toBe(false)
      const postgres = await start({ dataDir: freshDir })
      expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
      expect(readdirSync(freshDir).filter((name) => name.startsWith('unfinished'))).toEqual([])
      await postgres.stop()
      rmSync(freshDir, { recursive: true })
    },
  )
})

describe('a lock file that nobody holds', () => {
  test.each([
    ['of a process that is somebody else', `${process.pid}\n`],
    ['of a process that is gone', '4194303\n'],
    ['that is empty', ''],
    ['that is damaged', 'postmaster?\0\n\n'],
  ])('%s does not stop the start', async (_, content) => {
    writeFileSync(pidFile, content)
    await expect(start()).resolves.toMatchObject({ port: expect.any(Number) })
  })
})

describe('kill -9 of PostgreSQL', () => {
  test('of its postmaster: it is back on the same port with every acknowledged commit', async () => {
    const events = recordEvents()
    const { url, status } = await start({ log: events.log })
    const before = status().pid
    const acknowledged = await writeThroughFault(url, () => process.kill(before, 'SIGKILL'))
    await events.times('postgres.restarted', 1)
    expect(status()).toMatchObject({ state: 'running', restarts: 1 })
    expect(status().pid).not.toBe(before)
    expect(await lostCommits(url, acknowledged)).toEqual([])
  })

  test('of its postmaster while a backend computes: that backend is gone before the new one starts', async () => {
    const events = recordEvents()
    const { url, status } = await start({ log: events.log })
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const backend = rows[0]?.pid ?? 0
    const computing = client
      .query('SELECT count(*) FROM generate_series(1, 1e12)')
      .catch((error: unknown) => error)
    await expect
      .poll(() => query(url, `SELECT state FROM pg_stat_activity WHERE pid = ${backend}`))
      .toEqual([{ state: 'active' }])
    process.kill(status().pid, 'SIGKILL')
    await events.times('postgres.restarted', 1)
    expect(postgresProcesses(clusterDir, null)).not.toContain(backend)
    expect(await computing).toBeInstanceOf(Error)
    await client.end().catch(() => {})
  })

  test('of every one of its processes at once: it is back with every acknowledged commit', async () => {
    const events = recordEvents()
    const { url } = await start({ log: events.log })
    const acknowledged = await writeThroughFault(url, () => {
      for (const pid of postgresProcesses(clusterDir, null)) process.kill(pid, 'SIGKILL')
    })
    await events.times('postgres.restarted', 1)
    expect(await lostCommits(url, acknowledged)).toEqual([])
  })

  test('three times in a row is survived three times', async () => {
    const events = recordEvents()
    const { url, status } = await start({ log: events.log })
    for (const round of [1, 2, 3]) {
      process.kill(status().pid, 'SIGKILL')
      await events.times('postgres.restarted', round)
    }
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('and a stop during the restart ends in a stop', async () => {
    const events = recordEvents()
    const { status, stop } = await start({ log: events.log })
    process.kill(status().pid, 'SIGKILL')
    await events.times('postgres.died', 1)
    await stop()
    expect(status().state).toBe('stopped')
  })

  test('while another program takes its port: it is back when the port is', async () => {
    const events = recordEvents()
    const squatter = createServer()
    const { url, port, status } = await start({
      log: (entry) => {
        events.log(entry)
        // Without a host it binds at once, before the supervisor goes on.
        if (entry.event === 'postgres.died') squatter.listen(port)
      },
    })
    process.kill(status().pid, 'SIGKILL')
    await events.times('postgres.restart_failed', 1)
    squatter.close()
    await events.times('postgres.restarted', 1)
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })
})

describe('a full disk', () => {
  test.each(['table', 'log'] as const)(
    'filled by the %s loses no acknowledged commit, and the database is back when there is room',
    MAKES_A_CLUSTER,
    async (payload) => {
      const disk = spawnOnSmallDisk()
      const { url = '' } = await disk.nextAnswer()
      disk.fill(4)
      const acknowledged = await writeUntilCut(url, () => {}, payload)
      expect(acknowledged.length).toBeGreaterThan(3)
      // A full table fails its statement; a full log fails PostgreSQL, again and again.
      if (payload === 'log') await disk.times('postgres.restart_failed', 1)
      expect(disk.count('postgres.died')).toBe(payload === 'log' ? 1 : 0)
      disk.makeRoom()
      if (payload === 'log') await disk.times('postgres.restarted', 1)
      expect(await lostCommits(url, acknowledged)).toEqual([])
      await killHard(disk.child)
    },
  )

  test.each([60, 80])(
    'at the first start (%i of 80 MB taken) is refused, and the start succeeds when there is room',
    MAKES_A_CLUSTER,
    async (ballastMegabytes) => {
      const disk = spawnOnSmallDisk({ ballastMegabytes })
      expect(await disk.nextAnswer()).toEqual({ code: 'setup_failed', reason: 'disk_full' })
      disk.makeRoom()
      disk.tryAgain()
      const { url = '' } = await disk.nextAnswer()
      expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
      await killHard(disk.child)
    },
  )
})
