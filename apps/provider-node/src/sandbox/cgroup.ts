import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { type CgroupBases, findHierarchies, leafOf, makeBases } from './cgroupBases.ts'
import type { Limits } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { randomName } from './names.ts'

/** What the kernel accounted to a whole tree of processes. */
export type CgroupReading = { cpuMicros: number | null; peakBytes: number; oomKills: number }

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

const readNumber = (dir: string, file: string): number => Number(readFileSync(join(dir, file), 'utf8').trim())

function readField(dir: string, file: string, field: string): number {
  const lines = readFileSync(join(dir, file), 'utf8').split('\n')
  return Number(lines.find((line) => line.startsWith(`${field} `))?.split(' ')[1] ?? 0)
}

function limit({ memory, pids, memoryVersion }: CgroupBases, processes: number, memoryBytes: number): void {
  // The helper itself is one process and a few pages of the group.
  write(pids, 'pids.max', processes + 1)
  if (memoryVersion === 2) {
    write(memory, 'memory.max', memoryBytes)
    attempt(() => write(memory, 'memory.swap.max', 0))
    return
  }
  // The sum with swap may never be below the memory alone, so one of the two writes comes too early.
  const limitSum = () => attempt(() => write(memory, 'memory.memsw.limit_in_bytes', memoryBytes))
  limitSum()
  write(memory, 'memory.limit_in_bytes', memoryBytes)
  limitSum()
  attempt(() => write(memory, 'memory.swappiness', 0))
}

function readCpu({ cpu, unified }: CgroupBases): number | null {
  if (cpu) return Math.round(readNumber(cpu, 'cpuacct.usage') / 1_000)
  return unified ? readField(unified, 'cpu.stat', 'usage_usec') : null
}

const readOomKills = ({ memory, memoryVersion }: CgroupBases): number =>
  readField(memory, memoryVersion === 1 ? 'memory.oom_control' : 'memory.events', 'oom_kill')

/** The highest memory since it was last reset. */
type Peak = { read(): number; reset(): boolean; close(): void }

function openPeak({ memory, memoryVersion }: CgroupBases): Peak {
  if (memoryVersion === 1)
    return {
      read: () => readNumber(memory, 'memory.max_usage_in_bytes'),
      reset: () => attempt(() => write(memory, 'memory.max_usage_in_bytes', 0)),
      close: () => {},
    }
  const path = join(memory, 'memory.peak')
  // memory.peak came with Linux 5.19; since 6.12 each open descriptor has a peak of its own that it may reset.
  if (!existsSync(path)) return { read: () => 0, reset: () => false, close: () => {} }
  let fd: number | undefined
  attempt(() => {
    fd = openSync(path, 'r+')
  })
  const own = fd
  if (own === undefined)
    return { read: () => readNumber(memory, 'memory.peak'), reset: () => false, close: () => {} }
  const text = Buffer.alloc(32)
  return {
    read: () => Number(text.toString('latin1', 0, readSync(own, text, 0, text.length, 0)).trim()),
    reset: () => attempt(() => writeSync(own, 'reset')),
    close: () => closeSync(own),
  }
}

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

const dirsOf = ({ memory, pids, cpu, unified }: CgroupBases): string[] => [
  ...new Set([memory, pids, cpu, unified].filter((dir) => dir !== undefined)),
]

function placeIn(bases: CgroupBases): CgroupBases {
  const name = randomName()
  const { cpu, unified } = bases
  return {
    memoryVersion: bases.memoryVersion,
    memory: join(bases.memory, name),
    pids: join(bases.pids, name),
    ...(cpu ? { cpu: join(cpu, name) } : {}),
    ...(unified ? { unified: join(unified, name) } : {}),
  }
}

function createSlot(bases: CgroupBases): SlotCgroup {
  const own = placeIn(bases)
  const dirs = dirsOf(own)
  for (const dir of dirs) mkdirSync(dir)
  const peak = openPeak(own)
  const before = { cpuMicros: 0, residueBytes: 0, oomKills: 0 }
  let limited = { processes: 0, memoryBytes: 0 }
  return {
    join: async (pid) => {
      // Not in this turn of the loop: entering a group can make the kernel wait for a millisecond and more.
      for (const dir of dirs) await writeFile(join(dir, 'cgroup.procs'), `${pid}`)
    },
    rebase: () => {
      peak.reset()
      const usage = own.memoryVersion === 1 ? 'memory.usage_in_bytes' : 'memory.current'
      before.residueBytes = readNumber(own.memory, usage)
      before.cpuMicros = readCpu(own) ?? 0
      before.oomKills = readOomKills(own)
      return before.residueBytes
    },
    limit: ({ processes, memoryBytes: toolBytes }) => {
      const memoryBytes = toolBytes + before.residueBytes
      if (limited.processes === processes && limited.memoryBytes === memoryBytes) return
      limit(own, processes, memoryBytes)
      limited = { processes, memoryBytes }
    },
    read: () => {
      const cpuMicros = readCpu(own)
      return {
        cpuMicros: cpuMicros === null ? null : cpuMicros - before.cpuMicros,
        peakBytes: Math.max(0, peak.read() - before.residueBytes),
        oomKills: readOomKills(own) - before.oomKills,
      }
    },
    kill: () => {
      if (own.unified) killIn(own.unified)
    },
    remove: () => {
      peak.close()
      return removeDirs(dirs)
    },
  }
}

/** Found out with a group that nothing is in. */
function canRebase(bases: CgroupBases): boolean {
  const own = placeIn(bases)
  if (!attempt(() => mkdirSync(own.memory))) return false
  const peak = openPeak(own)
  const can = peak.reset()
  peak.close()
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
  const planned = hierarchies.map(({ ownDir }) => join(ownDir, name)).flatMap((dir) => [dir, leafOf(dir)])
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
