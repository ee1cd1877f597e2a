import { OrienError } from '@orien/protocol'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEmptyDatabase } from '../../../../tests/harness/postgres.ts'
import { createPool, inTransaction } from './pool.ts'

const database = await createEmptyDatabase()
const pool = createPool({ url: database.url, connections: 4 })
afterAll(async () => {
  await pool.end()
  await database.drop()
})

beforeAll(async () => {
  await pool.query('CREATE TABLE deposits (id int PRIMARY KEY, micros int8 NOT NULL CHECK (micros >= 0))')
})

const idsIn = async () =>
  (await pool.query<{ id: number }>('SELECT id FROM deposits ORDER BY id')).rows.map((row) => row.id)

const cutOwnConnection = (pid: number) => pool.query('SELECT pg_terminate_backend($1)', [pid])

describe('values', () => {
  test('an amount beyond 2^53 comes back exactly, alone, in an array and through Drizzle', async () => {
    const micros = 9_223_372_036_854_775_807n
    const alone = await pool.query('SELECT $1::int8 AS micros, ARRAY[$1::int8, NULL] AS several', [micros])
    expect(alone.rows).toEqual([{ micros, several: [micros, null] }])
    const raw = await drizzle(pool).execute(sql`SELECT ${micros}::int8 AS micros`)
    expect(raw.rows).toEqual([{ micros }])
  })

  test('a numeric keeps every digit, alone and in an array', async () => {
    const { rows } = await pool.query(
      `SELECT 0.10000000000000000001::numeric AS one, ARRAY[0.3::numeric, NULL] AS several`,
    )
    expect(rows).toEqual([{ one: '0.10000000000000000001', several: ['0.3', null] }])
  })

  test('an instant comes back as a Date in UTC', async () => {
    const { rows } = await pool.query(`SELECT '2026-11-23T04:00:00.123+02'::timestamptz AS at`)
    expect(rows).toEqual([{ at: new Date('2026-11-23T02:00:00.123Z') }])
  })
})

describe('inTransaction', () => {
  test('what it returns is committed', async () => {
    const result = await inTransaction(pool, async (client) => {
      await client.query('INSERT INTO deposits VALUES (1, 5)')
      return 'done'
    })
    expect(result).toBe('done')
    expect(await idsIn()).toContain(1)
  })

  test('work that throws leaves nothing, and its own error comes through', async () => {
    const refusal = new OrienError('budget_exhausted')
    const work = inTransaction(pool, async (client) => {
      await client.query('INSERT INTO deposits VALUES (2, 5)')
      throw refusal
    })
    await expect(work).rejects.toBe(refusal)
    expect(await idsIn()).not.toContain(2)
  })

  test('a broken constraint is told as PostgreSQL tells it', async () => {
    const work = inTransaction(pool, (client) => client.query('INSERT INTO deposits VALUES (3, -1)'))
    await expect(work).rejects.toMatchObject({ code: '23514', constraint: 'deposits_micros_check' })
  })

  test('a swallowed error of a statement is no commit', async () => {
    const work = inTransaction(pool, async (client) => {
      await client.query('INSERT INTO deposits VALUES (4, 5)')
      await client.query('SELECT 1/0').catch(() => {})
    })
    await expect(work).rejects.toThrow('no failed statement')
    expect(await idsIn()).not.toContain(4)
  })

  test('a connection cut between two statements is database_unavailable, and nothing is committed', async () => {
    const work = inTransaction(pool, async (client) => {
      const { rows } = await client.query<{ pid: number }>(
        'INSERT INTO deposits VALUES (5, 5) RETURNING pg_backend_pid() AS pid',
      )
      const cut = new Promise((resolve) => client.once('error', resolve))
      await cutOwnConnection(rows[0]?.pid ?? 0)
      await cut
      await client.query('INSERT INTO deposits VALUES (6, 5)')
    })
    await expect(work).rejects.toMatchObject({
      code: 'database_unavailable',
      facts: { outcome: 'not_committed' },
    })
    expect(await idsIn()).not.toContain(5)
  })

  test('a connection cut while committing is database_unavailable with an unknown outcome', async () => {
    // The commit waits for a lock in a deferred trigger, so that the cut surely falls into it.
    await pool.query(`
      CREATE TABLE slow (id int);
      CREATE FUNCTION wait_for_lock() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON slow
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_for_lock()`)
    const holder = await pool.connect()
    await holder.query('SELECT pg_advisory_lock(77)')
    const work = inTransaction(pool, (client) => client.query('INSERT INTO slow VALUES (1)'))
    const failed = expect(work).rejects.toMatchObject({
      code: 'database_unavailable',
      facts: { outcome: 'unknown' },
    })
    await expect
      .poll(() =>
        holder
          .query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()`,
          )
          .then((done) => done.rowCount),
      )
      .toBe(1)
    await failed
    await holder.query('SELECT pg_advisory_unlock(77)')
    holder.release()
  })

  test('every connection returns to the pool, after any kind of end', async () => {
    const few = createPool({ url: database.url, connections: 1, connectTimeoutMs: 1_000 })
    for (const statement of [
      'SELECT 1',
      'SELECT 1/0',
      'SELECT pg_terminate_backend(pg_backend_pid())',
      'SELECT 1',
    ]) {
      await inTransaction(few, (client) => client.query(statement)).catch(() => {})
    }
    expect([few.waitingCount, few.totalCount]).toEqual([0, 1])
    await few.end()
  })
})

describe('a database that cannot answer', () => {
  test('a refused connection is database_unavailable', async () => {
    const nowhere = createPool({ url: 'postgres://orien:x@127.0.0.1:1/orien' })
    await expect(inTransaction(nowhere, async () => {})).rejects.toMatchObject({
      code: 'database_unavailable',
    })
    await nowhere.end()
  })

  test('a pool without a free connection refuses after its connect timeout', async () => {
    const one = createPool({ url: database.url, connections: 1, connectTimeoutMs: 50 })
    const held = await one.connect()
    await expect(inTransaction(one, async () => {})).rejects.toMatchObject({ code: 'database_unavailable' })
    held.release()
    await one.end()
  })

  test('a statement beyond its time is stopped by the server', async () => {
    const hasty = createPool({ url: database.url, statementTimeoutMs: 50 })
    await expect(hasty.query('SELECT pg_sleep(10)')).rejects.toMatchObject({ code: '57014' })
    await hasty.end()
  })

  test('the loss of an idle connection is reported and ends nothing', async () => {
    const lost = Promise.withResolvers<Error>()
    const idle = createPool({ url: database.url, connections: 1, onIdleLoss: lost.resolve })
    const { rows } = await idle.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await cutOwnConnection(rows[0]?.pid ?? 0)
    await expect(lost.promise).resolves.toMatchObject({ code: '57P01' })
    await expect(idle.query('SELECT 1 AS one')).resolves.toMatchObject({ rows: [{ one: 1 }] })
    await idle.end()
  })
})
