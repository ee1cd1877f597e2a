import { expect, test } from 'vitest'
import { createEmptyDatabase } from '../harness/postgres.ts'
import { openPgbench } from './pgbench.ts'

test('pgbench measures the embedded PostgreSQL, or says what is missing', async () => {
  await using database = await createEmptyDatabase()
  const pgbench = await openPgbench({ url: database.url, clients: 2, protocol: 'prepared', scale: 1 })
  if ('unavailable' in pgbench) return expect(pgbench.unavailable).toContain('not installed')
  const result = await pgbench.measure(1)
  expect(result.tps).toBeGreaterThan(0)
  expect(result.transactions).toBeGreaterThan(0)
  expect(result.p50Ms).toBeGreaterThan(0)
  expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms)
})
