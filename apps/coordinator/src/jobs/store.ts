import { sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'

/** Says that the leader of the relayer finished a pass. */
export async function touchRelayer(db: Executor): Promise<void> {
  await db.execute(sql`
    insert into facts (name, value, at) values ('relayer', 'true', clock_timestamp())
      on conflict (name) do update set at = clock_timestamp()`)
}
