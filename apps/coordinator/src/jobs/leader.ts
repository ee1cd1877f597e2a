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
  // The pool counts a connection as lent until it is given back, also when it is dead.
  const resign = () => {
    client?.release(true)
    client = null
  }
  return {
    isLeader: async () => {
      if (client) return true
      const candidate = await pool.connect()
      const onCut = () => {
        if (client === candidate) resign()
      }
      candidate.on('error', onCut)
      try {
        if (await takesLock(candidate)) {
          client = candidate
          return true
        }
      } catch (error) {
        candidate.release(true)
        throw error
      }
      candidate.off('error', onCut)
      candidate.release()
      return false
    },
    resign,
  }
}

async function takesLock(client: pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ won: boolean }>('select pg_try_advisory_lock($1) as won', [
    RELAYER_LOCK,
  ])
  return rows[0]?.won === true
}
