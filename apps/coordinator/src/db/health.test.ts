import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { createEmptyDatabase } from '../../../../tests/harness/postgres.ts'
import { systemClock } from '../clock.ts'
import { createHealthProbe, type HealthProbeOptions } from './health.ts'
import { createPool } from './pool.ts'

const database = await createEmptyDatabase()
const pool = createPool({ url: database.url, connections: 2 })
const probes = new AsyncDisposableStack()
const silentServers = new DisposableStack()
afterAll(async () => {
  silentServers.dispose()
  await probes.disposeAsync()
  await pool.end()
  await database.drop()
})

function probeOf(options: Partial<HealthProbeOptions> = {}) {
  const probe = createHealthProbe({ url: database.url, clock: systemClock, ...options })
  probes.defer(probe.close)
  return probe
}

/** A clock that a test moves by hand. */
function handClock() {
  const state = { nowMs: 0 }
  return { state, clock: { ...systemClock, monotonicMs: () => state.nowMs } }
}

/** A server that takes connections and never says a word. */
async function silentServer() {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  silentServers.defer(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `postgres://orien:x@127.0.0.1:${port}/orien`, sockets }
}

const OF_THE_PROBE = `application_name = 'orien health' AND datname = current_database()`
const name = new URL(database.url).pathname.slice(1)

describe('the health of the database', () => {
  test('is ok only after a commit that went to the log and a file that went to the disk', async () => {
    const before = await figures()
    const probe = createHealthProbe({ url: database.url, clock: systemClock })
    expect(await probe.read()).toBe('ok')
    const after = await figures()
    expect(after.log).toBeGreaterThan(before.log)
    // A server process tells its figures when it ends.
    await probe.close()
    await expect.poll(async () => (await figures()).spilled).toBeGreaterThan(before.spilled + 1_000_000n)
  })

  test('is down when nobody listens', async () => {
    expect(await probeOf({ url: 'postgres://orien:x@127.0.0.1:1/orien' }).read()).toBe('down')
  })

  test('is read_only when the server takes no writes, and ok as soon as it does', async () => {
    const { clock } = handClock()
    const probe = probeOf({ clock })
    // Its connection was made before the change, and keeps the mode that it began with.
    const holder = await pool.connect()
    await holder.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`)
    expect(await probe.read()).toBe('read_only')
    await holder.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`)
    holder.release()
    await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OF_THE_PROBE}`)
    await expect.poll(() => probe.read()).toBe('ok')
  })

  test('is busy when the server has no connection left', async () => {
    const role = `crowded_health_${name}`
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x' CONNECTION LIMIT 0`)
    const url = Object.assign(new URL(database.url), { username: role, password: 'x' })
    expect(await probeOf({ url: url.href }).read()).toBe('busy')
    await pool.query(`DROP ROLE ${role}`)
  })

  test('is slow, and no caller waits for it, when the server says nothing', async () => {
    const { url, sockets } = await silentServer()
    const probe = probeOf({ url, checkMs: 50 })
    expect(await Promise.all([probe.read(), probe.read(), probe.read()])).not.toContain('ok')
    expect(sockets.size).toBe(1)
  })

  test('of a check that is late already is told at once', async () => {
    const { url } = await silentServer()
    const { clock, state } = handClock()
    const probe = probeOf({ url, clock, checkMs: 60_000 })
    const first = probe.read()
    state.nowMs = 60_000
    expect(await probe.read()).toBe('slow')
    void first
  })

  test('does not depend on a free connection of the pool that requests use', async () => {
    const held = [await pool.connect(), await pool.connect()]
    expect(await probeOf().read()).toBe('ok')
    for (const client of held) client.release()
  })

  test('is asked once for many callers, and again when the answer is old', async () => {
    const { clock, state } = handClock()
    const probe = probeOf({ clock })
    const commits = async () => (await figures()).log
    expect(new Set(await Promise.all(Array.from({ length: 50 }, probe.read)))).toEqual(new Set(['ok']))
    const first = await commits()
    await probe.read()
    expect(await commits()).toBe(first)
    state.nowMs = 501
    await probe.read()
    expect(await commits()).toBeGreaterThan(first)
  })

  test('is crash_loop when the supervisor gave up, whatever else answers on the port', async () => {
    expect(await probeOf({ hasGivenUp: () => true }).read()).toBe('crash_loop')
  })
})

async function figures() {
  const { rows } = await pool.query<{ log: bigint; spilled: bigint }>(
    `SELECT pg_current_wal_flush_lsn() - '0/0' AS log, temp_bytes AS spilled
       FROM pg_stat_database WHERE datname = current_database()`,
  )
  const [row] = rows
  return { log: Number(row?.log ?? 0), spilled: row?.spilled ?? 0n }
}
