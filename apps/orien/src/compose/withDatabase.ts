import { createPool } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'

type Pool = ReturnType<typeof createPool>

/**
 * Lends a few connections for questions to a database.
 *
 * @throws OrienError `database_unavailable`; the URL, which holds a password, is not in it
 */
export async function withDatabase<T>(url: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool({ url, connections: 2 })
  try {
    return await work(pool)
  } catch (cause) {
    // Errors of the driver and of the socket carry a code; what has none is not the database's.
    const isOfDatabase = cause instanceof Error && 'code' in cause && !(cause instanceof OrienError)
    if (!isOfDatabase) throw cause
    const detail = `The database did not answer: ${cause.message}`
    throw new OrienError(
      'database_unavailable',
      detail,
      { hint: 'Check DATABASE_URL and the server.' },
      { cause },
    )
  } finally {
    await pool.end()
  }
}
