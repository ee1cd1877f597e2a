import { appendFile, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { NODE_LIMITS } from '../limits.ts'
import type { Log } from '../log.ts'
import { type EarningsLine, encodeLine } from './line.ts'

export const EARNINGS_DIR = 'earnings'
const DAY_FILE = /^\d{4}-\d{2}-\d{2}\.jsonl$/

/**
 * What the node has earned, a file a day, for its owner to look at. Money does not depend on it: what can be claimed is
 * in the journal, and what was paid is on the chain. So a full disk costs a line here and nothing else.
 */
export type EarningsBook = {
  note(line: EarningsLine): void
  /** Resolves when everything that was noted is written, or given up. */
  close(): Promise<void>
}

/** The days that there is a file of, oldest first. */
export async function daysOf(dataDir: string): Promise<string[]> {
  const names = await readdir(join(dataDir, EARNINGS_DIR)).catch(() => [])
  return names.filter((name) => DAY_FILE.test(name)).sort()
}

export async function openEarnings(dataDir: string, log: Log): Promise<EarningsBook> {
  const dir = join(dataDir, EARNINGS_DIR)
  let waiting: EarningsLine[] = []
  let writing: Promise<void> | undefined
  let isFailing = false
  await forgetOldDays()

  async function forgetOldDays(): Promise<void> {
    const days = await daysOf(dataDir)
    for (const name of days.slice(0, Math.max(0, days.length - NODE_LIMITS.earningsDays)))
      await rm(join(dir, name), { force: true }).catch(() => {})
  }

  async function write(lines: readonly EarningsLine[]): Promise<void> {
    const byDay = Map.groupBy(lines, ({ at }) => at.slice(0, 10))
    await mkdir(dir, { recursive: true, mode: 0o700 })
    for (const [day, ofDay] of byDay)
      await appendFile(join(dir, `${day}.jsonl`), ofDay.map(encodeLine).join(''), { mode: 0o600 })
  }

  async function writeAll(): Promise<void> {
    // Deferred by a tick, so that runs that end together share one write.
    await Promise.resolve()
    while (waiting.length > 0) {
      const lines = waiting
      waiting = []
      try {
        await write(lines)
        isFailing = false
      } catch (err) {
        if (!isFailing) log.warn({ event: 'earnings.unwritten', lines: lines.length, err })
        isFailing = true
      }
    }
    writing = undefined
  }

  return {
    note: (line) => {
      if (waiting.length >= NODE_LIMITS.earningsLinesWaiting) return
      waiting.push(line)
      writing ??= writeAll()
    },
    close: async () => void (await writing),
  }
}
