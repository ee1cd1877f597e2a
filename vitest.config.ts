import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const postgresSetup = 'tests/harness/postgres.ts'

export default defineConfig({
  test: {
    include: ['{packages,apps,tests,examples}/**/*.test.{ts,tsx}'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/.next/**', '**/.orien/**'],
    globalSetup: existsSync(postgresSetup) ? [postgresSetup] : [],
    // Tests start servers, chains and sandboxes: processes isolate them, and two fill the smallest machine.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    allowOnly: false,
    passWithNoTests: false,
  },
})
