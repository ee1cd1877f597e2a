import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const notOurs = ['**/node_modules/**', '**/dist/**', '**/.next/**', '**/.orien/**']
const postgresSetup = 'tests/harness/postgres.ts'

export default defineConfig({
  test: {
    // Tests start servers, chains and sandboxes: processes isolate them, and two fill the smallest machine.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    allowOnly: false,
    passWithNoTests: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'product',
          include: ['{packages,apps,tests,examples,scripts}/**/*.test.{ts,tsx}'],
          exclude: [...notOurs, 'tests/tidy/**'],
          globalSetup: existsSync(postgresSetup) ? [postgresSetup] : [],
          setupFiles: ['tests/harness/seed.ts'],
        },
      },
      // Apart, so that checking the source starts no database; together, because loading TypeScript is most of it.
      {
        extends: true,
        test: { name: 'tidy', include: ['tests/tidy/**/*.test.ts'], exclude: notOurs, isolate: false },
      },
    ],
  },
})
