import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import { inTransaction } from './pool.ts'

/** Runs statements: on the pool, or on the connection of a transaction. */
export type Executor = NodePgDatabase

/**
 * One transaction of a verb: everything it writes, and what may happen only once that is committed
 * (publishing an event, sending work).
 */
export type Unit = {
  tx: Executor
  /** Runs after the commit, in order; never when the transaction is rolled back. */
  after: (effect: () => void) => void
}

/** The database as verbs see it. */
export type Database = {
  /** Reads outside a transaction. */
  read: Executor
  pool: pg.Pool
  /** @throws OrienError `database_unavailable` */
  write: <T>(work: (unit: Unit) => Promise<T>) => Promise<T>
}

export function createDatabase(pool: pg.Pool): Database {
  return {
    read: drizzle(pool),
    pool,
    write: async (work) => {
      const effects: (() => void)[] = []
      const result = await inTransaction(pool, (client) =>
        work({ tx: drizzle(client), after: (effect) => void effects.push(effect) }),
      )
      for (const effect of effects) effect()
      return result
    },
  }
}
