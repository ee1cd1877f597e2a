import { expect, test } from 'vitest'
import { createPool } from '../../apps/coordinator/src/db/pool.ts'
import { createTestDatabase } from './postgres.ts'

const tablesOf = async (url: string): Promise<string[]> => {
  const pool = createPool({ url, connections: 1 })
  const found = await pool.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
  )
  await pool.end()
  return found.rows.map((row) => row.name)
}

test('two test files that ask at once each get a migrated database that the other does not see', async () => {
  await using first = await createTestDatabase()
  const [second, third] = await Promise.all([createTestDatabase(), createTestDatabase()])
  const pool = createPool({ url: second.url, connections: 1 })
  await pool.query('CREATE TABLE only_here (id int)')
  await pool.end()
  const [ofFirst, ofSecond, ofThird] = await Promise.all(
    [first, second, third].map((each) => tablesOf(each.url)),
  )
  expect(ofFirst).toContain('sessions')
  expect(ofThird?.sort()).toEqual(ofFirst?.sort())
  expect(ofSecond?.sort()).toEqual([...(ofFirst ?? []), 'only_here'].sort())
  await Promise.all([second.drop(), third.drop()])
})

test('a dropped database is gone, even with connections to it', async () => {
  const database = await createTestDatabase()
  const pool = createPool({ url: database.url, connections: 1 })
  await pool.query('SELECT 1')
  await database.drop()
  await expect(pool.query('SELECT 1')).rejects.toThrow()
  await pool.end()
})
