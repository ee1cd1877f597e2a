import type { Outbox } from '../context.ts'
import type { Random } from '../random.ts'
import { insertCarried, insertTransaction } from './store.ts'

/** Stores planned transactions; `onPlanned` wakes the relayer once they are committed. */
export function createOutbox(random: Random, onPlanned: () => void): Outbox {
  return {
    plan: async (unit, transaction) => {
      if (await insertTransaction(unit.tx, random.id('payment'), transaction)) unit.after(onPlanned)
    },
    planBatch: async (unit, carrier, parts) => {
      const carrierId = random.id('payment')
      await insertTransaction(unit.tx, carrierId, { ...carrier, reference: carrierId })
      const { to } = carrier
      const rows = parts.map((part) => ({
        ...part,
        to,
        data: '0x' as const,
        id: random.id('payment'),
        carrierId,
      }))
      await insertCarried(unit.tx, rows)
      unit.after(onPlanned)
    },
  }
}
