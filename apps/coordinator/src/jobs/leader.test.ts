import type pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { createEmptyDatabase } from '../../../../tests/harness/postgres.ts'
import { createPool } from '../db/pool.ts'
import { createLeadership } from './leader.ts'

const database = await createEmptyDatabase()
const admin = createPool({ url: database.url, connections: 1 })
afterAll(async () => {
  await admin.end()
  await database.drop()
})

const replica = (name: string, connections = 2) => {
  const pool = createPool({ url: database.url, connections, connectTimeoutMs: 1_000, applicationName: name })
  return { pool, leadership: createLeadership(pool) }
}

const cut = (name: string) =>
  admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name])

/** Resolves when the pool has lost a connection that was lent. */
const removal = (pool: pg.Pool) => new Promise((resolve) => pool.once('remove', resolve))

test('of two replicas one leads, and the other does when it resigns', async () => {
  const [one, two] = [replica('one'), replica('two')]
  expect([await one.leadership.isLeader(), await two.leadership.isLeader()]).toEqual([true, false])
  const given = removal(one.pool)
  one.leadership.resign()
  await given
  await expect.poll(() => two.leadership.isLeader()).toBe(true)
  expect(await one.leadership.isLeader()).toBe(false)
  two.leadership.resign()
  await Promise.all([one.pool.end(), two.pool.end()])
})

test('a leader whose connection is cut leads again, and the pool keeps all of its connections', async () => {
  const { pool, leadership } = replica('cut', 2)
  for (let loss = 1; loss <= 5; loss += 1) {
    await expect.poll(() => leadership.isLeader()).toBe(true)
    const lost = removal(pool)
    await cut('cut')
    await lost
  }
  await expect.poll(() => leadership.isLeader()).toBe(true)
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  leadership.resign()
  await pool.end()
})

test('a try to lead that fails gives its connection back', async () => {
  const role = `weak_${new URL(database.url).pathname.slice(1)}`
  await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`)
  await admin.query('REVOKE EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) FROM PUBLIC')
  const { href: url } = Object.assign(new URL(database.url), { username: role, password: 'x' })
  const pool = createPool({ url, connections: 1, connectTimeoutMs: 1_000 })
  await expect(createLeadership(pool).isLeader()).rejects.toMatchObject({ code: '42501' })
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  await pool.end()
  await admin.query('GRANT EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) TO PUBLIC')
  await admin.query(`DROP ROLE ${role}`)
})
