import type { Outbox } from '../context.ts'
import type { Random } from '../random.ts'
import { insertTransaction } from './store.ts'

/** Stores planned transactions; `onPlanned` wakes the relayer once they are committed. */
export function createOutbox(random: Random, onPlanned: () => void): Outbox {
  return {
    plan: async (unit, transaction) => {
      if (await insertTransaction(unit.tx, random.id('payment'), transaction)) unit.after(onPlanned)
    },
  }
}
