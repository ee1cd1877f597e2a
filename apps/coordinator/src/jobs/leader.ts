import type pg from 'pg'

/** One replica at a time does what must not be done twice, such as giving nonces. */
export type Leadership = {
  /** Whether this process leads now; tries to become leader when nobody is. */
  isLeader: () => Promise<boolean>
  resign: () => void
}

/** Any number would do; it only has to differ from the schema's lock. */
const RELAYER_LOCK = 0x72_65_6c_61_79n

/** Leadership is a session lock: it ends with the connection, so a dead leader is replaced by itself. */
export function createLeadership(pool: pg.Pool): Leadership {
  let client: pg.PoolClient | null = null
  const lose = () => {
    client = null
  }
  return {
    isLeader: async () => {
      if (client) return true
      const candidate = await pool.connect()
      candidate.once('error', lose)
      const { rows } = await candidate.query<{ won: boolean }>('select pg_try_advisory_lock($1) as won', [
        RELAYER_LOCK,
      ])
      if (rows[0]?.won) {
        client = candidate
        return true
      }
      candidate.off('error', lose)
      candidate.release()
      return false
    },
    resign: () => {
      client?.release(true)
      client = null
    },
  }
}
