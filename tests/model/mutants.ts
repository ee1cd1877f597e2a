import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { createPool } from '@orien/coordinator'
import { invariant } from '@orien/protocol'

const sourceDir = new URL('../../apps/coordinator/src/', import.meta.url)

/** One mistake that somebody could make in a function of the ledger. */
export type Mutant = { mistake: string; file: string; from: string; to: string }

/** Each of them loses, doubles or overspends something, and the model has to see it. */
export const MUTANTS: readonly Mutant[] = [
  {
    mistake: 'a refusal leaves no tombstone',
    file: 'execution/submit.sql',
    from: `from decided where outcome = 'refused' and is_told`,
    to: `from decided where outcome = 'refused' and is_told and false`,
  },
  {
    mistake: 'a grant is rounded down by one micro-USDC',
    file: 'execution/decide.sql',
    from: 'item.limit_ms + 59999, 60000)',
    to: 'item.limit_ms + 59998, 60000)',
  },
  {
    mistake: 'a deadline is a millisecond longer than its hold pays for',
    file: 'execution/decide.sql',
    from: 'div(hold::numeric * 60000, item.rate_micros_per_minute)',
    to: 'div(hold::numeric * 60000, item.rate_micros_per_minute) + 1',
  },
  {
    mistake: 'a run needs no voucher that covers it',
    file: 'execution/decide.sql',
    from: 'elsif greatest(authorised, item.voucher) < spent + held + hold then',
    to: 'elsif greatest(authorised, item.voucher) < spent + hold then',
  },
  {
    mistake: 'a lower voucher replaces a higher one',
    file: 'execution/decide.sql',
    from: 'if item.voucher > authorised then',
    to: 'if item.voucher < authorised and item.voucher >= spent + held then',
  },
  {
    mistake: 'another request under a known key gets the first one’s answer',
    file: 'execution/decide.sql',
    from: 'if item.known_body <> item.body then',
    to: 'if item.known_body <> item.body and false then',
  },
  {
    mistake: 'a session that is ending takes new work',
    file: 'execution/decide.sql',
    from: `if item.status <> 'active' then`,
    to: `if item.status not in ('active', 'ending') then`,
  },
  {
    mistake: 'a lease that is over releases its hold, and a late receipt releases it again',
    file: 'metering/decide.sql',
    from: `released := case when item.hold_status = 'open' then item.hold_micros else 0 end;`,
    to: `released := least(item.hold_micros, held);`,
  },
  {
    mistake: 'a receipt is recorded out of its order',
    file: 'metering/decide.sql',
    from: 'elsif chain + 1 <> item.sequence or head <> item.previous then',
    to: 'elsif chain + 1 <> item.sequence then',
  },
  {
    mistake: 'a capture posts one micro-USDC more than the receipt costs',
    file: 'metering/record.sql',
    from: 'array[-cost, cost]',
    to: 'array[-cost - 1, cost + 1]',
  },
  {
    mistake: 'a capture is posted to somebody else’s account',
    file: 'metering/record.sql',
    from: `'sessions:' || session || ':payable'`,
    to: `'platform:fees'`,
  },
  {
    mistake: 'a receipt for another hold than was granted is believed',
    file: 'metering/decide.sql',
    from: 'or (item.hold_micros <> item.hold or item',
    to: 'or (item',
  },
  {
    mistake: 'a step is held that no voucher covers',
    file: 'execution/extend.sql',
    from: 'elsif s.authorised_micros >= required then',
    to: 'elsif s.authorised_micros + s.step_micros >= required then',
  },
  {
    mistake: 'a step is not held',
    file: 'execution/extend.sql',
    from: 'update sessions set held_micros = required - spent_micros, last_event',
    to: 'update sessions set last_event',
  },
  {
    mistake: 'a step is held twice',
    file: 'execution/extend.sql',
    from: 'set held_micros = required - spent_micros, last_event',
    to: 'set held_micros = required - spent_micros + s.step_micros, last_event',
  },
  {
    mistake: 'a deadline is later than its raised hold pays for',
    file: 'execution/extend.sql',
    from: 'div(raised::numeric * 60000, s.rate_micros_per_minute)',
    to: 'div((raised::numeric + s.step_micros) * 60000, s.rate_micros_per_minute)',
  },
  {
    mistake: 'a step is given before half of the one before it is used',
    file: 'execution/extend.sql',
    from: 'or used_ms * 2 < before + e.deadline_ms then',
    to: 'or used_ms * 2 + 2 < before + e.deadline_ms then',
  },
  {
    mistake: 'any duration is believed',
    file: 'metering/decide.sql',
    from: 'if effective_ms > observed + item.tolerance_ms',
    to: 'if effective_ms > 60000 + observed + item.tolerance_ms',
  },
  {
    mistake: 'a receipt is captured after the claim',
    file: 'metering/decide.sql',
    from: `elsif cost > 0 and item.channel_status <> 'open' then`,
    to: 'elsif false then',
  },
  {
    mistake: 'a lease that is over keeps its hold',
    file: 'execution/expire.sql',
    from: 's.held_micros := s.held_micros - e.hold_micros;',
    to: '',
  },
]

/** Puts the mutant's function in the place of the real one. */
export async function install(pool: ReturnType<typeof createPool>, mutant: Mutant): Promise<void> {
  const text = readFileSync(fileURLToPath(new URL(mutant.file, sourceDir)), 'utf8')
  // A mutant that no longer fits would be the real function, and its test would prove nothing.
  invariant(text.split(mutant.from).length === 2, `${mutant.file} holds once: ${mutant.from}`)
  await pool.query(text.replace(mutant.from, mutant.to))
}
