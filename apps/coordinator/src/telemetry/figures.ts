import type { GasWei } from '@orien/protocol'
import type { Clock } from '../clock.ts'

/** What only the database and the chain can tell. */
export type Figures = StoredFigures & {
  relayerWei: GasWei | null
  /** Infinite before the first reading. */
  ageSeconds: number
}

/** What only the database can tell. */
export type StoredFigures = {
  /** Balances by class of account. */
  ledger: readonly { class: string; micros: string }[]
  transactions: readonly { kind: string; status: string; count: number; oldestSeconds: number }[]
  /** Not mined although as much is offered as may be, or their nonces are spent by something else. */
  stuckTransactions: number
  /** Of the relayer, in this UTC day, final on the chain. */
  spentGas: string
  spentWei: string
  oldestUnpaidSeconds: number
  overduePayouts: number
  leasesOpen: number
  leasesExpiring: number
  /** Null before any leader finished a pass. */
  relayerBeatSeconds: number | null
}

/** Reads figures at most every few seconds, for however many who ask. */
export type FigureReader = { refresh: () => Promise<void>; figures: () => Figures }

/** Figures this young are good enough. */
const FRESH_MS = 2_000
/** What a reader of the page waits for them at most; afterwards it sees the old ones, and their age. */
const PATIENCE_MS = 1_500

const NOTHING: StoredFigures = {
  ledger: [],
  transactions: [],
  stuckTransactions: 0,
  spentGas: '0',
  spentWei: '0',
  oldestUnpaidSeconds: 0,
  overduePayouts: 0,
  leasesOpen: 0,
  leasesExpiring: 0,
  relayerBeatSeconds: null,
}

/**
 * @param read the database's figures
 * @param relayerWei what the relayer has for gas; null when the chain does not say
 */
export function createFigureReader(
  clock: Clock,
  read: () => Promise<StoredFigures>,
  relayerWei: () => Promise<GasWei | null>,
): FigureReader {
  let stored = NOTHING
  let wei: GasWei | null = null
  let readAtMs = Number.NEGATIVE_INFINITY
  let underWay: Promise<unknown> | null = null
  const begin = () => {
    const database = read().then((figures) => {
      stored = figures
      readAtMs = clock.monotonicMs()
    })
    const chain = relayerWei().then((balance) => {
      wei = balance
    })
    underWay = Promise.allSettled([database, chain]).then(() => {
      underWay = null
    })
    return underWay
  }
  return {
    refresh: async () => {
      if (clock.monotonicMs() - readAtMs < FRESH_MS) return
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, PATIENCE_MS)
      await Promise.race([underWay ?? begin(), promise])
      clearTimeout(timer)
    },
    figures: () => ({ ...stored, relayerWei: wei, ageSeconds: (clock.monotonicMs() - readAtMs) / 1_000 }),
  }
}
