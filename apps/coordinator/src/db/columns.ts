import { bigint, customType, timestamp } from 'drizzle-orm/pg-core'

/** An amount in micro-USDC. */
export const money = (name: string) => bigint(name, { mode: 'bigint' })

/** An instant, to the millisecond. */
export const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 })

/** Bytes as they are. */
export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

/** What the relayer sends. */
export const TRANSACTION_KINDS = [
  'open',
  'top_up',
  'close',
  'close_batch',
  'request_close',
  'set_operator',
  'custody_deposit',
  'withdrawal',
] as const
