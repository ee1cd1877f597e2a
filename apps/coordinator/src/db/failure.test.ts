import { ERRORS, OrienError } from '@orien/protocol'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEmptyDatabase } from '../../../../tests/harness/postgres.ts'
import { databaseFailure, isOutage } from './failure.ts'
import { createPool, inTransaction } from './pool.ts'

const database = await createEmptyDatabase()
const pool = createPool({ url: database.url, connections: 4, statementTimeoutMs: 5_000 })
afterAll(async () => {
  await pool.end()
  await database.drop()
})
beforeAll(async () => {
  await pool.query('CREATE TABLE rows (id int PRIMARY KEY, version int NOT NULL DEFAULT 0)')
  await pool.query('INSERT INTO rows VALUES (1), (2)')
})

const run = (...statements: string[]) =>
  inTransaction(pool, async (client) => {
    for (const statement of statements) await client.query(statement)
  })

/** Two transactions, each past its first statement before either begins its second. */
async function meet(first: readonly [string, string], second: readonly [string, string], mode = '') {
  const isAtDoor = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
  const enter = (own: 0 | 1, [one, two]: readonly [string, string]) =>
    inTransaction(pool, async (client) => {
      if (mode) await client.query(`SET TRANSACTION ISOLATION LEVEL ${mode}`)
      await client.query(one)
      isAtDoor[own].resolve()
      await isAtDoor[own === 0 ? 1 : 0].promise
      await client.query(two)
    })
  const ends = await Promise.allSettled([enter(0, first), enter(1, second)])
  return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
}

const update = (id: number) => `UPDATE rows SET version = version + 1 WHERE id = ${id}`
const notDone = (code: string) => ({ code, facts: { outcome: 'not_committed' } })

describe('a failure that the server tells', () => {
  test('a deadlock fails one of the two, which did nothing and may try again', async () => {
    const failures = await meet([update(1), update(2)], [update(2), update(1)])
    expect(failures).toMatchObject([notDone('database_busy')])
  })

  test('transactions that cannot be put in an order fail one of the two, which did nothing and may try again', async () => {
    const count = 'SELECT count(*) FROM rows'
    const failures = await meet(
      [count, 'INSERT INTO rows VALUES (3)'],
      [count, 'INSERT INTO rows VALUES (4)'],
      'SERIALIZABLE',
    )
    expect(failures).toMatchObject([notDone('database_busy')])
  })

  test('a lock that is not free is database_busy', async () => {
    await inTransaction(pool, async (holder) => {
      await holder.query(update(1))
      await expect(run('SELECT 1 FROM rows WHERE id = 1 FOR UPDATE NOWAIT')).rejects.toMatchObject(
        notDone('database_busy'),
      )
    })
  })

  test('a statement beyond its time is timed_out and did nothing', async () => {
    await expect(run('SET LOCAL statement_timeout = 20', 'SELECT pg_sleep(10)')).rejects.toMatchObject(
      notDone('timed_out'),
    )
  })

  test('a server that takes no writes is database_read_only', async () => {
    await expect(run('SET TRANSACTION READ ONLY', update(1))).rejects.toMatchObject(
      notDone('database_read_only'),
    )
  })

  test('a server without a free connection is database_busy, and nothing was done', async () => {
    const role = `crowded_${database.url.split('_').at(-1)}`
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x' CONNECTION LIMIT 0`)
    const url = new URL(database.url)
    Object.assign(url, { username: role, password: 'x' })
    const crowded = createPool({ url: url.href })
    await expect(inTransaction(crowded, async () => {})).rejects.toMatchObject(notDone('database_busy'))
    await crowded.end()
    await pool.query(`DROP ROLE ${role}`)
  })

  test.each([
    ['53100', 'disk full', 'database_full'],
    ['53200', 'out of memory', 'database_busy'],
    ['58030', 'I/O error', 'database_damaged'],
    ['58P01', 'missing file', 'database_damaged'],
    ['XX001', 'damaged page', 'database_damaged'],
  ])('%s (%s) is %s, through Drizzle as well, and nothing was done', async (state, _, code) => {
    const raise = `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '${state}'; END $$`
    await expect(run(raise)).rejects.toMatchObject(notDone(code))
    const wrapped: unknown = await drizzle(pool)
      .execute(sql.raw(raise))
      .catch((error: unknown) => error)
    expect(databaseFailure(wrapped, 'unknown')).toMatchObject(notDone(code))
  })

  test('the connection is used again after every one of them', async () => {
    const one = createPool({ url: database.url, connections: 1 })
    const backend = () => inTransaction(one, async (client) => (await client.query(PID)).rows)
    const before = await backend()
    await inTransaction(one, (client) =>
      client.query(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$`),
    ).catch(() => {})
    expect(await backend()).toEqual(before)
    await one.end()
  })
})

const PID = 'SELECT pg_backend_pid() AS pid'

describe('what is known about the work', () => {
  const said = (code: string, severity: string) => {
    const error = new pg.DatabaseError('said by the server', 20, 'error')
    return Object.assign(error, { code, severity })
  }

  test.each([
    ['53100', 'ERROR', 'not_committed'],
    // Writing the log failed while a commit was in it: after the restart it may be there.
    ['53100', 'PANIC', 'unknown'],
    ['57P01', 'FATAL', 'unknown'],
    ['57P02', 'WARNING', 'unknown'],
    ['57P03', 'FATAL', 'not_committed'],
    ['53300', 'FATAL', 'not_committed'],
    ['57014', 'ERROR', 'not_committed'],
    // The same word of a server that speaks German: the safe answer.
    ['57014', 'FEHLER', 'unknown'],
  ])('%s said as %s during a commit is %s', (code, severity, outcome) => {
    expect(databaseFailure(said(code, severity), 'unknown')).toMatchObject({ facts: { outcome } })
  })

  test('a connection that was refused did nothing; one that was cut may have', () => {
    const failed = (code: string) => Object.assign(new Error('socket'), { code })
    expect(databaseFailure(failed('ECONNREFUSED'), 'unknown')).toMatchObject(notDone('database_unavailable'))
    expect(databaseFailure(failed('ECONNRESET'), 'unknown')).toMatchObject({ facts: { outcome: 'unknown' } })
  })

  test('only damaged files are nothing to try again for', () => {
    const codes = ['08006', '53100', '53200', '53300', '40001', '25006', '57014', '57P01'].map(
      (code) => (databaseFailure(said(code, 'ERROR'), 'unknown') as OrienError).code,
    )
    expect(codes.filter((code) => !ERRORS[code].retryable)).toEqual([])
    expect(ERRORS.database_damaged.retryable).toBe(false)
    expect(new Set(codes.map((code) => ERRORS[code].status))).toEqual(new Set([503, 504]))
  })

  test('a refusal about the data, and an error that has its code already, are left as they are', () => {
    for (const error of [said('23505', 'ERROR'), said('P0001', 'ERROR'), new OrienError('not_found'), 'text'])
      expect(databaseFailure(error, 'unknown')).toBe(error)
  })

  test('what a smaller batch would meet as well is an outage, and a deadlock is not', () => {
    const isOutageAt = (code: string) => isOutage(databaseFailure(said(code, 'ERROR'), 'unknown'))
    expect(['08006', '53100', '25006', '58030', '57014'].every(isOutageAt)).toBe(true)
    expect(['40P01', '40001', '55P03'].some(isOutageAt)).toBe(false)
  })
})
