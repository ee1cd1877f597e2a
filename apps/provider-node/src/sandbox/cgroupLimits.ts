import { join } from 'node:path'
import { OrienError } from '@orien/protocol'
import type { CgroupBases } from './cgroupBases.ts'
import { keep } from './keptFile.ts'

/** What bounds one group, written only where it differs from what is there. */
type CgroupLimits = {
  /** @throws OrienError `sandbox_unavailable` when the kernel does not take it: nothing may run unbounded */
  set(limits: { processes: number; memoryBytes: number }): void
  close(): void
}

/** The files stay open: what the last run left changes the bound of the next one by some pages nearly every time. */
export function openLimits({ memory, memoryVersion, pids }: CgroupBases): CgroupLimits {
  const isFirst = memoryVersion === 1
  const number = keep(join(pids, 'pids.max'), 'r+')
  const bytes = keep(join(memory, isFirst ? 'memory.limit_in_bytes' : 'memory.max'), 'r+')
  /** Absent where the kernel does not count swap. */
  const sum = isFirst ? keep(join(memory, 'memory.memsw.limit_in_bytes'), 'r+') : undefined
  const swap = keep(join(memory, isFirst ? 'memory.swappiness' : 'memory.swap.max'), 'r+')
  const current = { processes: 0, memoryBytes: 0 }
  swap.write('0')
  const demand = (isTaken: boolean) => {
    if (!isTaken) throw new OrienError('sandbox_unavailable', 'the sandbox could not be limited')
  }
  return {
    set: ({ processes, memoryBytes }) => {
      // The helper itself is one process and a few pages of the group.
      if (processes !== current.processes) demand(number.write(`${processes + 1}`))
      current.processes = processes
      if (memoryBytes === current.memoryBytes) return
      // The sum with swap may never be below the memory alone. A fresh group has no bound, so its first one is lower.
      const isHigher = current.memoryBytes > 0 && memoryBytes > current.memoryBytes
      if (isHigher) sum?.write(`${memoryBytes}`)
      demand(bytes.write(`${memoryBytes}`))
      if (!isHigher) sum?.write(`${memoryBytes}`)
      current.memoryBytes = memoryBytes
    },
    close: () => {
      for (const file of [number, bytes, sum, swap]) file?.close()
    },
  }
}
