import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { OrienError } from '@orien/protocol'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { useCluster } from './embedded/fixtures/cluster.ts'
import { isRoot, killHard, newDir, query, startSupervisor } from './embedded/fixtures/faults.ts'
import { startEmbeddedPostgres } from './embedded.ts'

const { dataDir, clusterDir, start } = useCluster()
const foreign = newDir()
afterAll(() => rmSync(foreign, { recursive: true, force: true }))

async function refusalOf(dir: string): Promise<OrienError> {
  const outcome = await startEmbeddedPostgres({ dataDir: dir }).catch((error: unknown) => error)
  return outcome as OrienError
}

const refusedFor = (reason: string) => ({
  code: 'setup_failed',
  facts: { reason, hint: expect.stringMatching(/^[A-Z].*\.$/) },
})

describe('a second start', () => {
  test('names the process that has the directory and says what to do, also when the file about it is wrong', async () => {
    const { child, answer } = await startSupervisor(dataDir)
    for (const said of [`${child.pid}\n`, '4194303\n', 'nobody', '']) {
      writeFileSync(join(dataDir, 'supervisor.pid'), said)
      const refusal = await refusalOf(dataDir)
      expect(refusal).toMatchObject({ code: 'database_in_use', facts: { holderPid: child.pid } })
      expect(refusal.message).toContain(`process ${child.pid}; stop it first`)
    }
    expect(await query(answer.url ?? '', 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    await killHard(child)
    await start()
  })

  test('is refused with a code when the lock itself is no lock, and nothing is touched', async () => {
    const lock = join(dataDir, 'supervisor.lock')
    const before = readFileSync(lock)
    writeFileSync(lock, 'not a lock at all, but long enough to be looked at as one '.repeat(20))
    expect(await refusalOf(dataDir)).toMatchObject(refusedFor('lock'))
    writeFileSync(lock, before)
    await start()
  })
})

describe('a process id that was given to somebody else', () => {
  test('also to the PostgreSQL of another directory: that one is left alone', async () => {
    const other = inject('postgresAdminUrl')
    const [{ directory } = { directory: '' }] = await query<{ directory: string }>(
      other,
      `SELECT current_setting('data_directory') AS directory`,
    )
    const startedAt = () => query(other, 'SELECT pg_postmaster_start_time()')
    const before = await startedAt()
    writeFileSync(join(clusterDir, 'postmaster.pid'), readFileSync(join(directory, 'postmaster.pid')))
    const { url } = await start()
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect(await startedAt()).toEqual(before)
  })
})

describe('a directory with something else in it', () => {
  test('a PostgreSQL that is not ours: not even its modes change', async () => {
    writeFileSync(join(foreign, 'PG_VERSION'), '18\n')
    chmodSync(foreign, 0o750)
    expect(await refusalOf(foreign)).toMatchObject(refusedFor('not_ours'))
    expect(readdirSync(foreign)).toEqual(['PG_VERSION'])
    expect(statSync(foreign).mode & 0o777).toBe(0o750)
    rmSync(join(foreign, 'PG_VERSION'))
  })

  test('a `cluster` that no initdb made: it is neither used nor removed', async () => {
    const cluster = join(foreign, 'cluster')
    mkdirSync(cluster)
    if (isRoot) chownSync(cluster, 65_534, 65_534)
    writeFileSync(join(cluster, 'diary.txt'), 'dear diary')
    expect(await refusalOf(foreign)).toMatchObject(refusedFor('not_ours'))
    expect(readFileSync(join(cluster, 'diary.txt'), 'utf8')).toBe('dear diary')
  })

  test('the files of another major version: the reason names both', async () => {
    writeFileSync(join(foreign, 'cluster', 'PG_VERSION'), '17\n')
    expect(await refusalOf(foreign)).toMatchObject({
      facts: { reason: 'version', found: '17', needed: '18' },
    })
  })
})

describe('files that PostgreSQL may not use', () => {
  test('open to others: refused with that reason, and the start succeeds when they are closed', async () => {
    chmodSync(clusterDir, 0o755)
    expect(await refusalOf(dataDir)).toMatchObject(refusedFor('permissions'))
    chmodSync(clusterDir, 0o700)
    await start()
  })

  test('a part of them unreadable to its account: refused with that reason, and nothing is lost', async () => {
    const control = join(clusterDir, 'global', 'pg_control')
    const { uid, gid, mode } = statSync(control)
    // Root gives the file away; everybody else closes it to themselves.
    if (isRoot) chownSync(control, 0, 0)
    else chmodSync(control, 0)
    expect(await refusalOf(dataDir)).toMatchObject(refusedFor('permissions'))
    if (isRoot) chownSync(control, uid, gid)
    else chmodSync(control, mode)
    await start()
  })

  test('of root: refused with the reason, since PostgreSQL never runs as root', async () => {
    const { uid, gid } = statSync(clusterDir)
    chownSync(clusterDir, 0, 0)
    expect(await refusalOf(dataDir)).toMatchObject(refusedFor('owner'))
    chownSync(clusterDir, uid, gid)
    await start()
  })

  test('a data directory that is a file: refused with that reason', async () => {
    const path = join(foreign, 'file')
    writeFileSync(path, '')
    expect(await refusalOf(path)).toMatchObject(refusedFor('data_dir'))
  })
})
