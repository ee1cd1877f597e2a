import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { CgroupBases } from './cgroupBases.ts'
import { keep, NOTHING } from './keptFile.ts'

/** What the kernel has counted for one group since it was made, but for the peak. */
export type CgroupCounters = {
  /** Null where no hierarchy counts it. */
  cpuMicros(): number | null
  usageBytes(): number
  oomKills(): number
  /** The highest memory since the group was made, or the peak was last reset; null where none is kept. */
  peakBytes(): number | null
  /** @returns false where the kernel cannot */
  resetPeak(): boolean
  close(): void
}

function fieldOf(lines: string, field: string): number {
  const found = lines.split('\n').find((line) => line.startsWith(`${field} `))
  return Number(found?.slice(field.length + 1) ?? 0)
}

/** memory.peak came with Linux 5.19; since 6.12 each open descriptor has a peak of its own that it may reset. */
export function openCounters({ memory, memoryVersion, cpu, unified }: CgroupBases): CgroupCounters {
  const isFirst = memoryVersion === 1
  const usage = keep(join(memory, isFirst ? 'memory.usage_in_bytes' : 'memory.current'), 'r')
  const oom = keep(join(memory, isFirst ? 'memory.oom_control' : 'memory.events'), 'r')
  const peakPath = join(memory, isFirst ? 'memory.max_usage_in_bytes' : 'memory.peak')
  const peak = existsSync(peakPath) ? keep(peakPath, 'r+') : NOTHING
  const nanos = cpu ? keep(join(cpu, 'cpuacct.usage'), 'r') : undefined
  const stat = !cpu && unified ? keep(join(unified, 'cpu.stat'), 'r') : undefined
  const kills = { text: '', count: 0 }
  return {
    cpuMicros: () => {
      if (nanos) return Math.round(Number(nanos.read()) / 1_000)
      return stat ? fieldOf(stat.read(), 'usage_usec') : null
    },
    usageBytes: () => Number(usage.read()),
    oomKills: () => {
      const text = oom.read()
      if (text !== kills.text) {
        kills.count = fieldOf(text, 'oom_kill')
        kills.text = text
      }
      return kills.count
    },
    peakBytes: () => (peak === NOTHING ? null : Number(peak.read())),
    resetPeak: () => peak.write(isFirst ? '0' : 'reset'),
    close: () => {
      for (const file of [usage, oom, peak, nanos, stat]) file?.close()
    },
  }
}
