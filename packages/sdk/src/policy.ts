import { least, MAX_MICROS, micros, OrienError, type UsdcMicros, ZERO } from '@orien/protocol'

/** Caps that are enforced here, where neither a model nor a coordinator can lift them. Micro-USDC. */
export type Policy = {
  /** What one execution may cost. */
  maxPerCallMicros?: UsdcMicros
  /** What may be deposited into one session. */
  maxPerSessionMicros?: UsdcMicros
  /** What may be deposited in one UTC day, minus what was refunded. */
  maxPerDayMicros?: UsdcMicros
}

/** What deposits are counted into: all of a UTC day, `day 2026-11-23`, or all of a session, `session ses_…`. */
export type SpendingAccount = `day ${string}` | `session ${string}`

/** Where totals are kept; in memory unless given, which forgets them with the process. */
export type SpendingRecord = {
  /**
   * Adds an amount, or takes one away when it is below zero; a total never falls below nothing.
   *
   * @returns the total with it: of several that add at once each one's is another, as if they had come one by one
   */
  add: (account: SpendingAccount, amountMicros: bigint) => Promise<UsdcMicros>
}

/** What an account holds after an amount was added to it. */
export const addToTotal = (totalMicros: bigint, amountMicros: bigint): UsdcMicros =>
  micros(totalMicros + amountMicros > 0n ? totalMicros + amountMicros : 0n)

/** Accounts that a record in memory keeps: a refund may come after midnight, a top-up after days. */
const ACCOUNTS_KEPT = 10_000

/** A record in memory. */
export function memorySpendingRecord(): SpendingRecord {
  const totals = new Map<string, UsdcMicros>()
  return {
    add: async (account, amountMicros) => {
      const total = addToTotal(totals.get(account) ?? ZERO, amountMicros)
      totals.delete(account)
      totals.set(account, total)
      const [oldest] = totals.keys()
      if (oldest !== undefined && totals.size > ACCOUNTS_KEPT) totals.delete(oldest)
      return total
    },
  }
}

const dayOf = (nowMs: number) => `day ${new Date(nowMs).toISOString().slice(0, 10)}` as const

/** Enforces a {@link Policy}. */
export class SpendingGuard {
  readonly #policy: Policy
  readonly #record: SpendingRecord

  constructor(policy: Policy, record: SpendingRecord) {
    this.#policy = policy
    this.#record = record
  }

  /**
   * What one execution may cost: what the caller asked for, or the cap when it asked for nothing.
   *
   * @throws OrienError `spend_cap_exceeded` when more than the cap was asked for
   */
  callCap(wantedMicros: UsdcMicros | undefined): UsdcMicros | undefined {
    const { maxPerCallMicros: cap } = this.#policy
    if (cap === undefined) return wantedMicros
    if (wantedMicros !== undefined && wantedMicros > cap) {
      throw new OrienError('spend_cap_exceeded', 'the call may cost more than the policy allows', {
        capMicros: cap.toString(),
      })
    }
    return least(cap, wantedMicros ?? (MAX_MICROS as UsdcMicros))
  }

  /** @throws OrienError `spend_cap_exceeded` when a session's deposits would exceed their cap */
  assertSession(depositedMicros: bigint): void {
    const { maxPerSessionMicros: cap } = this.#policy
    if (cap !== undefined && depositedMicros > cap) {
      throw new OrienError('spend_cap_exceeded', 'the session would hold more than the policy allows', {
        capMicros: cap.toString(),
      })
    }
  }

  /**
   * Counts a deposit into its session and its day, before it is signed: by our own record, whatever a coordinator says
   * that the session holds.
   *
   * @throws OrienError `spend_cap_exceeded`; then nothing was counted
   */
  async countDeposit(sessionId: string, amountMicros: UsdcMicros, nowMs: number): Promise<void> {
    const session = `session ${sessionId}` as const
    await this.#count(session, amountMicros, (total) => this.assertSession(total))
    await this.#count(dayOf(nowMs), amountMicros, (total) => this.#assertDay(total)).catch(async (error) => {
      await this.#record.add(session, -amountMicros)
      throw error
    })
  }

  /** Takes a refund out of the day that its deposit was counted into. */
  async countRefund(amountMicros: UsdcMicros, countedAtMs: number): Promise<void> {
    await this.#record.add(dayOf(countedAtMs), -amountMicros)
  }

  /** Counted first and judged then: two at once cannot both pass by the same total. */
  async #count(account: SpendingAccount, amountMicros: UsdcMicros, assert: (total: bigint) => void) {
    const total = await this.#record.add(account, amountMicros)
    try {
      assert(total)
    } catch (error) {
      await this.#record.add(account, -amountMicros)
      throw error
    }
  }

  #assertDay(totalMicros: bigint): void {
    const { maxPerDayMicros: cap } = this.#policy
    if (cap === undefined || totalMicros <= cap) return
    throw new OrienError('spend_cap_exceeded', 'the day would cost more than the policy allows', {
      capMicros: cap.toString(),
    })
  }
}
