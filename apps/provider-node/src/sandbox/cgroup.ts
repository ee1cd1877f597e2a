import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { type CgroupBases, findHierarchies, makeBases, plannedDirs } from './cgroupBases.ts'
import { openCounters } from './cgroupCounters.ts'
import { openLimits } from './cgroupLimits.ts'
import type { Limits } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { randomName } from './names.ts'

/** What the kernel accounted to a whole tree of processes. */
export type CgroupReading = {
  /** Null where no hierarchy counts it. */
  cpuMicros: number | null
  /** Null where the kernel keeps none (version 2 before Linux 5.19). */
  peakBytes: number | null
  oomKills: number
}

/** The cgroup of one sandbox, in every hierarchy that counts. */
export type SlotCgroup = {
  /** Moves a process (the helper, before it forks a tool) in. */
  join(pid: number): Promise<void>
  /** Everything until now belongs to no run. @returns what is charged already, and stays so */
  rebase(): number
  /** The limits of the next run. */
  limit(limits: Limits): void
  /** Since the last `rebase`. */
  read(): CgroupReading
  /** Kills everything in it at once, where the kernel can (cgroup.kill, Linux 5.14). */
  kill(): void
  /** Resolves once it is empty and removed. */
  remove(): Promise<void>
}

/** The part of the machine's cgroups that this node made for itself. */
export type Cgroups = {
  create(): SlotCgroup
  /** Whether peaks can be counted for each of several runs in one group (version 2: since Linux 6.12). */
  readonly canRebase: boolean
  close(): void
}

/** What is there but forbidden is like what is absent: each write is tried and judged. */
function attempt(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

const write = (dir: string, file: string, value: number): void => writeFileSync(join(dir, file), `${value}`)

/** A group reports `populated` for some milliseconds after its last process died, and rmdir says EBUSY until then. */
async function removeDirs(dirs: readonly string[]): Promise<void> {
  const giveUpAt = performance.now() + SANDBOX_LIMITS.drainMs
  let left = dirs.filter((dir) => existsSync(dir))
  while (left.length > 0 && performance.now() < giveUpAt) {
    left = left.filter((dir) => !attempt(() => rmdirSync(dir)) && existsSync(dir))
    if (left.length > 0) await after(1)
  }
}

const killIn = (dir: string): void => {
  if (existsSync(join(dir, 'cgroup.kill'))) attempt(() => write(dir, 'cgroup.kill', 1))
}

/** Each directory once: several controllers may share one. */
export const dirsOf = ({ memory, pids, cpu, unified }: CgroupBases): string[] => [
  ...new Set([memory, pids, cpu, unified].filter((dir) => dir !== undefined)),
]

/** A name below each of them that nothing has yet. */
export function placeIn(bases: CgroupBases): CgroupBases {
  const name = randomName()
  const { cpu, unified } = bases
  return {
    memoryVersion: bases.memoryVersion,
    memory: join(bases.memory, name),
    pids: join(bases.pids, name),
    ...(cpu ? { cpu: join(cpu, name) } : {}),
    // Where version 1 counts everything, version 2 could only kill, which the namespace does as well; and entering one of
    // its groups makes the kernel wait for every processor, 10 ms and more on a busy machine.
    ...(unified && (bases.memoryVersion === 2 || !cpu) ? { unified: join(unified, name) } : {}),
  }
}

function createSlot(bases: CgroupBases): SlotCgroup {
  const own = placeIn(bases)
  for (const dir of dirsOf(own)) mkdirSync(dir)
  return openGroup(own)
}

/** A group that has been made. */
export function openGroup(own: CgroupBases): SlotCgroup {
  const dirs = dirsOf(own)
  const counters = openCounters(own)
  const before = { cpuMicros: 0, residueBytes: 0, oomKills: 0 }
  const bounds = openLimits(own)
  let limits: Limits | undefined
  const bound = () => {
    if (!limits) return
    const { processes, memoryBytes } = limits
    bounds.set({ processes, memoryBytes: memoryBytes + before.residueBytes })
  }
  return {
    // Not in this turn of the loop: entering a group can make the kernel wait for a millisecond and more.
    join: async (pid) => {
      await Promise.all(dirs.map((dir) => writeFile(join(dir, 'cgroup.procs'), `${pid}`)))
    },
    rebase: () => {
      counters.resetPeak()
      before.residueBytes = counters.usageBytes()
      before.cpuMicros = counters.cpuMicros() ?? 0
      before.oomKills = counters.oomKills()
      // While nobody waits: the next run has the same limits nearly always.
      bound()
      return before.residueBytes
    },
    limit: (wanted) => {
      limits = wanted
      bound()
    },
    read: () => {
      const cpuMicros = counters.cpuMicros()
      const peakBytes = counters.peakBytes()
      return {
        cpuMicros: cpuMicros === null ? null : cpuMicros - before.cpuMicros,
        peakBytes: peakBytes === null ? null : Math.max(0, peakBytes - before.residueBytes),
        oomKills: counters.oomKills() - before.oomKills,
      }
    },
    kill: () => {
      if (own.unified) killIn(own.unified)
    },
    remove: () => {
      counters.close()
      bounds.close()
      return removeDirs(dirs)
    },
  }
}

/** Found out with a group that nothing is in. */
function canRebase(bases: CgroupBases): boolean {
  const own = placeIn(bases)
  if (!attempt(() => mkdirSync(own.memory))) return false
  const counters = openCounters({ memoryVersion: own.memoryVersion, memory: own.memory, pids: own.memory })
  const can = counters.resetPeak()
  counters.close()
  attempt(() => rmdirSync(own.memory))
  return can
}

/** Removes what a node that was killed left behind; its processes died with it or die now. */
export async function sweepCgroups(journalDir: string): Promise<void> {
  if (!existsSync(journalDir)) return
  for (const name of readdirSync(journalDir)) {
    const journal = join(journalDir, name)
    const bases = readFileSync(journal, 'utf8').split('\n')
    const left = bases.filter((dir) => dir !== '' && existsSync(dir))
    // A driver that was closed and opened again in one process still sits in its leaf.
    if (
      left.some((dir) =>
        readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').includes(`${process.pid}`),
      )
    )
      continue
    for (const base of left) {
      const entries = readdirSync(base, { withFileTypes: true }).filter((entry) => entry.isDirectory())
      const runs = entries.map((entry) => join(base, entry.name))
      for (const dir of runs) killIn(dir)
      await removeDirs(runs)
      await removeDirs([base])
    }
    rmSync(journal, { force: true })
  }
}

/**
 * Makes this node's own group in every hierarchy that it may write, below the group it was started in.
 * Names are random: a tool can read its own group's path. `journalDir` remembers them for the next start.
 *
 * @returns undefined where memory and processes cannot both be limited
 */
export function openCgroups(journalDir: string): Cgroups | undefined {
  const hierarchies = findHierarchies(
    readFileSync('/proc/self/cgroup', 'utf8'),
    readFileSync('/proc/self/mounts', 'utf8'),
  )
  const name = `orien-${randomName()}`
  mkdirSync(journalDir, { recursive: true, mode: 0o700 })
  const journal = join(journalDir, name)
  // Written before anything is made: a crash in between leaves a name without a group, never a group without a name.
  const planned = plannedDirs(hierarchies, name)
  writeFileSync(journal, planned.join('\n'), { mode: 0o600 })
  const { bases, made } = makeBases(hierarchies, name)
  const close = () => {
    for (const dir of made) attempt(() => rmdirSync(dir))
    if (planned.every((dir) => !existsSync(dir))) rmSync(journal, { force: true })
  }
  if (bases) return { create: () => createSlot(bases), canRebase: canRebase(bases), close }
  close()
  return undefined
}
