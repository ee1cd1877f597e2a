import { bigint, customType, timestamp } from 'drizzle-orm/pg-core'

/** An amount in micro-USDC. */
export const money = (name: string) => bigint(name, { mode: 'bigint' })

/** An amount of a chain's native coin: of 18 decimals, a few of them are more than 64 bits hold. */
export const wei = customType<{ data: bigint; driverData: string }>({
  dataType: () => 'numeric(78, 0)',
  fromDriver: (value) => BigInt(value),
  toDriver: (value) => value.toString(),
})

/** An instant, to the millisecond. */
export const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 })

/** Bytes as they are. */
export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

/** What the relayer sends. */
export const TRANSACTION_KINDS = [
  'open',
  'open_batch',
  'top_up',
  'close',
  'close_batch',
  'request_close',
  'set_operator',
  'custody_deposit',
  'withdrawal',
] as const
