import type { createPool } from '@orien/coordinator'

type Client = Pick<ReturnType<typeof createPool>, 'query'>

/** Lets the lease of a run have ended so long ago, as if the time had passed; of every run without an id. */
export async function endLease(client: Client, ago: string, executionId?: string): Promise<void> {
  await client.query(
    `with late as (
        update executions set lease_until = clock_timestamp() - $1::interval where id = coalesce($2, id)
          returning session_id)
      update sessions set leases_from = 'epoch' from late where sessions.id = late.session_id`,
    [ago, executionId ?? null],
  )
}
