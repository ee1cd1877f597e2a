import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { OrienError } from '@orien/protocol'
import { describe, expect, test } from 'vitest'
import { useCluster } from './embedded/fixtures/cluster.ts'
import { isRoot, killHard, mayMount, newDir, query, startSupervisor } from './embedded/fixtures/faults.ts'
import { startEmbeddedPostgres } from './embedded.ts'

const { dataDir, clusterDir, start, firstEvents } = useCluster()

describe('a start', () => {
  test('gives PostgreSQL 18 with every setting that makes a commit durable', async () => {
    const { url } = await start()
    const rows = await query(
      url,
      `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit',
        'data_checksums', 'max_connections', 'TimeZone', 'password_encryption') ORDER BY name COLLATE "C"`,
    )
    expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
      TimeZone: 'UTC',
      data_checksums: 'on',
      fsync: 'on',
      full_page_writes: 'on',
      max_connections: '100',
      password_encryption: 'scram-sha-256',
      synchronous_commit: 'on',
    })
    expect(await query(url, `SELECT current_setting('server_version_num')::int / 10000 AS major`)).toEqual([
      { major: 18 },
    ])
  })

  test('never runs PostgreSQL as root, and lets nobody else read the files or the password', async () => {
    const { status } = await start()
    expect(statSync(`/proc/${status().pid}`).uid).not.toBe(0)
    const modes = [dataDir, clusterDir, join(dataDir, 'password')].map((path) => statSync(path).mode & 0o777)
    expect(modes).toEqual([isRoot ? 0o711 : 0o700, 0o700, 0o600])
  })

  test('needs the password, which is in no argument and no event', async () => {
    const { url, status } = await start()
    const { password } = new URL(url)
    await expect(query(url.replace(password, 'guess'), 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
    expect(readFileSync(`/proc/${status().pid}/cmdline`, 'utf8')).not.toContain(password)
    expect(JSON.stringify(firstEvents())).not.toContain(password)
  })

  test('on a port that is taken is refused with that reason and leaves the directory free', async () => {
    const squatter = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => squatter.once('listening', resolve))
    const address = squatter.address()
    const port = typeof address === 'object' && address ? address.port : 0
    await expect(startEmbeddedPostgres({ dataDir, port })).rejects.toMatchObject({
      code: 'setup_failed',
      facts: { reason: 'port_taken' },
    })
    squatter.close()
    await expect(start()).resolves.toBeDefined()
  })

  test('refuses the files of another major version and a cluster without its password', async () => {
    const otherDir = newDir()
    mkdirSync(join(otherDir, 'cluster'))
    if (isRoot) chownSync(join(otherDir, 'cluster'), 65_534, 65_534)
    const refusal = async () => startEmbeddedPostgres({ dataDir: otherDir }).catch((error: unknown) => error)
    writeFileSync(join(otherDir, 'cluster', 'PG_VERSION'), '17\n')
    expect(await refusal()).toMatchObject({ code: 'setup_failed', facts: { reason: 'version' } })
    writeFileSync(join(otherDir, 'cluster', 'PG_VERSION'), '18\n')
    expect(await refusal()).toMatchObject({ code: 'setup_failed', facts: { reason: 'password_missing' } })
    rmSync(otherDir, { recursive: true })
  })

  test('refuses a password file that is not the one of its cluster, and leaves the directory free', async () => {
    const file = join(dataDir, 'password')
    const right = readFileSync(file)
    writeFileSync(file, 'guess')
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({
      code: 'setup_failed',
      facts: { reason: 'password' },
    })
    writeFileSync(file, right)
    await expect(start()).resolves.toBeDefined()
  })

  test('below a directory that only root may enter works, where root may mount, and else says why not', {
    timeout: 60_000,
  }, async () => {
    const closed = newDir()
    chmodSync(closed, 0o700)
    const outcome = await start({ dataDir: join(closed, 'data') }).then(
      async (postgres) => {
        expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
        await postgres.stop()
        return 'works'
      },
      (error: OrienError) => error.facts.reason,
    )
    expect(outcome).toBe(isRoot && !mayMount ? 'unreachable' : 'works')
    rmSync(closed, { recursive: true })
  })
})

describe('one directory, one supervisor', () => {
  test('a second start in the same process is refused with database_in_use', async () => {
    const { url } = await start()
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({
      code: 'database_in_use',
      facts: { holderPid: process.pid },
    })
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('of four processes that start at once one gets the database', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => startSupervisor(dataDir)))
    expect(all.map(({ answer }) => answer.code ?? 'started').sort()).toEqual([
      'database_in_use',
      'database_in_use',
      'database_in_use',
      'started',
    ])
    await Promise.all(all.map(({ child }) => killHard(child)))
    await start()
  })

  test('after stop the directory is free, and stop may be called twice', async () => {
    const postgres = await start()
    await Promise.all([postgres.stop(), postgres.stop()])
    expect(postgres.status().state).toBe('stopped')
    await start()
  })
})
