import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, instantOf } from '../clock.ts'
import type { Timing } from '../limits.ts'

/** For how long the coordinator has been away. */
export type Heard = {
  /** Notes whether it is there now. */
  look(isLive: boolean): void
  /** Since when nothing was heard, counted over restarts by the wall clock. */
  silentMs(): number
  /** For how long this process has tried in vain: a machine that slept, or was off, has not. */
  aloneMs(): number
}

const NAME = 'coordinator.heard'

/** Remembers when the coordinator was heard, also over a restart: its silence does not begin anew with the node. */
export async function openHeard(
  dataDir: string,
  clock: Clock,
  { heardKeptMs }: Pick<Timing, 'heardKeptMs'>,
): Promise<Heard> {
  const path = join(dataDir, NAME)
  const kept = Date.parse((await readFile(path, 'utf8').catch(() => '')).trim())
  let heardMs = Number.isNaN(kept) ? clock.nowMs() : Math.min(kept, clock.nowMs())
  let triedFromMs = clock.monotonicMs()
  let keptMs = Number.NEGATIVE_INFINITY
  const keep = async () => {
    await writeFile(`${path}.new`, `${instantOf(heardMs)}\n`, { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
  return {
    look: (isLive) => {
      if (!isLive) return
      heardMs = clock.nowMs()
      triedFromMs = clock.monotonicMs()
      if (triedFromMs - keptMs < heardKeptMs) return
      keptMs = triedFromMs
      // A full disk makes the silence longer than it was, and nothing worse.
      keep().catch(() => {})
    },
    silentMs: () => Math.max(0, clock.nowMs() - heardMs),
    aloneMs: () => clock.monotonicMs() - triedFromMs,
  }
}
