import { least, MAX_MICROS, OrienError, type UsdcMicros, ZERO } from '@orien/protocol'

/** Caps that are enforced here, where neither a model nor a coordinator can lift them. Micro-USDC. */
export type Policy = {
  /** What one execution may cost. */
  maxPerCallMicros?: UsdcMicros
  /** What may be deposited into one session. */
  maxPerSessionMicros?: UsdcMicros
  /** What may be deposited in one UTC day, minus what was refunded. */
  maxPerDayMicros?: UsdcMicros
}

/** Where the day's total is kept; in memory unless given, which forgets it with the process. */
export type DayRecord = {
  /** @param day `2026-11-23` */
  read: (day: string) => Promise<UsdcMicros>
  write: (day: string, totalMicros: UsdcMicros) => Promise<void>
}

/** Days that a record in memory keeps: a refund may come after midnight. */
const DAYS_KEPT = 7

/** A record in memory. */
export function memoryDayRecord(): DayRecord {
  const totals = new Map<string, UsdcMicros>()
  return {
    read: async (day) => totals.get(day) ?? ZERO,
    write: async (day, totalMicros) => {
      totals.set(day, totalMicros)
      const [oldest] = [...totals.keys()].sort()
      if (oldest !== undefined && totals.size > DAYS_KEPT) totals.delete(oldest)
    },
  }
}

const dayOf = (nowMs: number) => new Date(nowMs).toISOString().slice(0, 10)

/** Enforces a {@link Policy}. */
export class SpendingGuard {
  readonly #policy: Policy
  readonly #record: DayRecord
  /** The day's total is read and written by one caller after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(policy: Policy, record: DayRecord) {
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
   * Counts a deposit into the day, before it is signed.
   *
   * @throws OrienError `spend_cap_exceeded`; then nothing was counted
   */
  countDeposit(amountMicros: UsdcMicros, nowMs: number): Promise<void> {
    return this.#change(nowMs, (total) => {
      const after = total + amountMicros
      const { maxPerDayMicros: cap } = this.#policy
      if (cap !== undefined && after > cap) {
        throw new OrienError('spend_cap_exceeded', 'the day would cost more than the policy allows', {
          capMicros: cap.toString(),
        })
      }
      return after
    })
  }

  /** Takes a refund, or a deposit that was never made, out of the day that it was counted into. */
  countRefund(amountMicros: UsdcMicros, countedAtMs: number): Promise<void> {
    return this.#change(countedAtMs, (total) => (total > amountMicros ? total - amountMicros : 0n))
  }

  #change(nowMs: number, next: (total: UsdcMicros) => bigint): Promise<void> {
    const day = dayOf(nowMs)
    const change = async () => {
      await this.#record.write(day, next(await this.#record.read(day)) as UsdcMicros)
    }
    const turn = this.#turn.then(change, change)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
