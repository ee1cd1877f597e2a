import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { useCluster } from './embedded/fixtures/cluster.ts'
import { isRoot, newDir, query } from './embedded/fixtures/faults.ts'

const { start } = useCluster()
const COMMITS = 30
const MAY_TRACE = isRoot && spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0

async function commitOneByOne(client: pg.Client): Promise<void> {
  await client.query('CREATE TABLE IF NOT EXISTS commits (id int)')
  for (let id = 1; id <= COMMITS; id += 1) await client.query('INSERT INTO commits VALUES ($1)', [id])
}

async function connect(url: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  return { client, pid: rows[0]?.pid ?? 0 }
}

test('each commit waits for the disk: the server counts a flush of its log for every one', async () => {
  const { url } = await start()
  const flushes = async () => {
    const [row] = await query<{ flushes: bigint }>(
      url,
      `SELECT sum(fsyncs)::int8 AS flushes FROM pg_stat_io WHERE object = 'wal' AND backend_type = 'client backend'`,
    )
    return Number(row?.flushes)
  }
  const before = await flushes()
  const { client } = await connect(url)
  await commitOneByOne(client)
  // A server process tells its figures when it ends.
  await client.end()
  await expect.poll(flushes, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + COMMITS)
})

test('each commit waits for the disk: the kernel sees its flush, where processes may be traced', async () => {
  const { url } = await start()
  const { client, pid } = await connect(url)
  await client.query('CREATE TABLE IF NOT EXISTS commits (id int)')
  const trace = MAY_TRACE ? traceFlushes(pid) : null
  await trace?.attached
  await commitOneByOne(client)
  await client.end()
  if (trace) expect(await trace.count()).toBeGreaterThanOrEqual(COMMITS)
  // Elsewhere the count above has to do, and this: the flush that is counted is a real one.
  const [row] = await query(url, `SELECT current_setting('wal_sync_method') AS method`)
  expect(row).toEqual({ method: 'fdatasync' })
})

/** Counts what a process flushes, until it ends. */
function traceFlushes(pid: number) {
  const dir = newDir()
  const file = join(dir, 'trace')
  const child = spawn('strace', ['-p', `${pid}`, '-e', 'trace=fdatasync', '-o', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const closed = once(child, 'close')
  const attached = once(child.stderr, 'data')
  const count = async () => {
    await closed
    const lines = readFileSync(file, 'utf8').split('\n')
    rmSync(dir, { recursive: true })
    return lines.filter((line) => /^fdatasync\(\d+\)\s+= 0/.test(line)).length
  }
  return { attached, count }
}
