import { sha256Hex } from '@orien/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../../../tests/harness/postgres.ts'
import { systemClock } from '../clock.ts'
import { createDatabase, type Database } from '../db/executor.ts'
import { createPool } from '../db/pool.ts'
import { createAuthenticator } from './authenticate.ts'

const KEY = { id: 'key_of_the_test', secret: 'a-secret-of-the-test-alone' }
const header = `Bearer ${KEY.secret}`

let database: TestDatabase
let db: Database
let questions = 0

beforeAll(async () => {
  database = await createTestDatabase()
  const pool = createPool({ url: database.url, connections: 4 })
  await pool.query(`insert into agents (id, wallet) values ('agt_test', '0x')`)
  await pool.query(
    `insert into credentials (id, kind, secret_hash, agent_id, scopes) values ($1, 'key', $2, 'agt_test', '{spend}')`,
    [KEY.id, sha256Hex(KEY.secret)],
  )
  // A connection is taken from the pool once for each question.
  pool.on('acquire', () => {
    questions += 1
  })
  db = createDatabase(pool)
})
afterAll(async () => {
  await db.pool.end()
  await database.drop()
})

test('requests that come together with one token ask the database once', async () => {
  const { authenticate } = createAuthenticator({ db, clock: systemClock })
  questions = 0
  const callers = await Promise.all(Array.from({ length: 20 }, () => authenticate(header)))
  expect(new Set(callers.map(({ agentId }) => agentId))).toEqual(new Set(['agt_test']))
  expect(questions).toBe(1)
})

test('what is known of a key that is revoked while it is asked for is not kept', async () => {
  const { authenticate, forget } = createAuthenticator({ db, clock: systemClock })
  const asked = authenticate(header)
  forget(KEY.id)
  await asked
  await db.pool.query('update credentials set revoked_at = now() where id = $1', [KEY.id])
  await expect(authenticate(header)).rejects.toMatchObject({ code: 'unauthorized' })
})

test('an unknown token is refused to all who come together with it, and to the next one', async () => {
  const { authenticate } = createAuthenticator({ db, clock: systemClock })
  const strangers = Array.from({ length: 3 }, () => authenticate('Bearer nobody-has-ever-seen-it'))
  const answers = await Promise.allSettled(strangers)
  for (const answer of answers)
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'unauthorized' } })
  await expect(authenticate('Bearer nobody-has-ever-seen-it')).rejects.toMatchObject({ code: 'unauthorized' })
})
