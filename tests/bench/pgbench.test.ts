import { expect, test } from 'vitest'
import { createEmptyDatabase } from '../harness/postgres.ts'
import { runPgbench } from './pgbench.ts'

test('pgbench measures the embedded PostgreSQL, or says what is missing', async () => {
  await using database = await createEmptyDatabase()
  const result = await runPgbench({
    url: database.url,
    clients: 2,
    seconds: 1,
    protocol: 'prepared',
    scale: 1,
  })
  if ('unavailable' in result) return expect(result.unavailable).toContain('not installed')
  expect(result.tps).toBeGreaterThan(0)
  expect(result.transactions).toBeGreaterThan(0)
  expect(result.p50Ms).toBeGreaterThan(0)
  expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms)
})
