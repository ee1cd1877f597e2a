import { add, invariant, least, OrienError, type UsdcMicros, ZERO } from '@orien/protocol'

/** What an execution that has not ended may still cost. */
export type Reservation = {
  /** Known once the coordinator has answered. */
  executionId: string | undefined
  holdMicros: UsdcMicros
  /** What its hold may be raised to, if it goes in steps. */
  mostMicros: UsdcMicros
}

/**
 * What a session's agent has authorised and may still authorise: the sum behind every voucher.
 * `voucher = consumed (by signed receipts) + holds of open executions + hold of the new one`, never above the budget.
 */
export class Spending {
  readonly #open = new Set<Reservation>()
  #signedMicros: UsdcMicros = ZERO

  /** The highest cumulative amount that was signed. */
  get signedMicros(): UsdcMicros {
    return this.#signedMicros
  }

  get heldMicros(): UsdcMicros {
    return add(...[...this.#open].map((reservation) => reservation.holdMicros))
  }

  reserve(holdMicros: UsdcMicros, mostMicros: UsdcMicros = holdMicros): Reservation {
    const reservation: Reservation = { executionId: undefined, holdMicros, mostMicros }
    this.#open.add(reservation)
    return reservation
  }

  /** The reservation of an execution that is known already: the same run must not be held for twice. */
  reservationOf(executionId: string): Reservation | undefined {
    return [...this.#open].find((reservation) => reservation.executionId === executionId)
  }

  release(reservation: Reservation): void {
    this.#open.delete(reservation)
  }

  /** Ends the reservation of an execution that is known to have ended. */
  releaseExecution(executionId: string): void {
    for (const reservation of this.#open) {
      if (reservation.executionId === executionId) this.#open.delete(reservation)
    }
  }

  /** The cumulative amount for the next voucher; never below one that was signed, which would authorise nothing. */
  nextVoucher(consumedMicros: UsdcMicros, budgetMicros: UsdcMicros): UsdcMicros {
    const needed = least(add(consumedMicros, this.heldMicros), budgetMicros)
    if (needed < this.#signedMicros) return this.#signedMicros
    return needed
  }

  /** Remembers what was signed. */
  signed(cumulativeMicros: UsdcMicros, budgetMicros: UsdcMicros): void {
    invariant(cumulativeMicros <= budgetMicros, 'a voucher never exceeds the budget')
    if (cumulativeMicros > this.#signedMicros) this.#signedMicros = cumulativeMicros
  }
}

/**
 * Decides on a voucher that the coordinator asks for.
 *
 * @param input.heldMicros of all open executions of the session, the new one included
 * @throws OrienError `budget_exhausted` above the budget, `voucher_invalid` above what receipts and holds explain
 */
export function assertExplained(input: {
  requiredMicros: UsdcMicros
  consumedMicros: UsdcMicros
  heldMicros: UsdcMicros
  budgetMicros: UsdcMicros
}): void {
  const { requiredMicros, consumedMicros, heldMicros, budgetMicros } = input
  const facts = { requiredCumulativeMicros: requiredMicros.toString() }
  if (requiredMicros > budgetMicros) {
    throw new OrienError('budget_exhausted', 'the voucher that is asked for exceeds the budget', facts)
  }
  if (requiredMicros > add(consumedMicros, heldMicros)) {
    throw new OrienError('voucher_invalid', 'the voucher that is asked for exceeds receipts and holds', facts)
  }
}
