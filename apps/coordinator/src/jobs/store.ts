import { sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'

/** Says that a coordinator is alive. @returns milliseconds since one last said so; null the first time */
export async function touchAlive(db: Executor): Promise<number | null> {
  const { rows } = await db.execute<{ before_ms: string | null }>(sql`
    with before as (select extract(epoch from clock_timestamp() - at) * 1000 as ms from facts where name = 'alive'),
    touched as (
      insert into facts (name, value, at) values ('alive', 'true', clock_timestamp())
      on conflict (name) do update set at = clock_timestamp()
    )
    select (select ms from before) as before_ms`)
  const ms = rows[0]?.before_ms
  return ms === null || ms === undefined ? null : Math.round(Number(ms))
}

/** Says that the leader of the relayer finished a pass. */
export async function touchRelayer(db: Executor): Promise<void> {
  await db.execute(sql`
    insert into facts (name, value, at) values ('relayer', 'true', clock_timestamp())
      on conflict (name) do update set at = clock_timestamp()`)
}
