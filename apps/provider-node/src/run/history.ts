import type { ExecutionStatus, FailureReason, MovedBytes, Receipt } from '@orien/protocol'
import { NODE_LIMITS } from '../limits.ts'

/** A run as the owner of the machine may see it: no arguments, no output. */
export type RunRecord = Partial<MovedBytes> & {
  id: string
  sessionId: string
  tool: string
  status: ExecutionStatus
  reason?: FailureReason
  exitCode: number | null
  effectiveMs: number
  cpuMs: number
  maxRssBytes: number
  outputs: Receipt['outputs']
  startedAt?: string
  endedAt?: string
}

/** The last runs of this process, the oldest forgotten first. */
export type History = {
  add(record: Pick<RunRecord, 'id' | 'sessionId' | 'tool'>): void
  update(id: string, change: Partial<RunRecord>): void
  get(id: string): RunRecord | undefined
}

/** @param onForgotten is told which run is no longer remembered */
export function createHistory(onForgotten: (id: string) => void = () => {}): History {
  const records = new Map<string, RunRecord>()
  return {
    add: (record) => {
      const [oldest] = records.keys()
      if (oldest !== undefined && records.size >= NODE_LIMITS.rememberedRuns) {
        records.delete(oldest)
        onForgotten(oldest)
      }
      const nothing = { exitCode: null, effectiveMs: 0, cpuMs: 0, maxRssBytes: 0, outputs: [] }
      records.set(record.id, { ...record, status: 'pending', ...nothing })
    },
    update: (id, change) => {
      const record = records.get(id)
      if (record) records.set(id, { ...record, ...change })
    },
    get: (id) => records.get(id),
  }
}
