import { defineConfig } from 'drizzle-kit'

// For `drizzle-kit generate`, which compares the schema with the last snapshot and needs no database.
// It cannot print a bigint: write a default as sql`0`, not 0n.
export default defineConfig({
  dialect: 'postgresql',
  schema: './src/db/schema.ts',
  out: './src/db/migrations',
})
