import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { type CgroupBases, findHierarchies, leafOf, makeBases } from './cgroupBases.ts'
import type { Limits } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { randomName } from './names.ts'

/** What the kernel accounted to a whole tree of processes. */
export type CgroupReading = { cpuMicros: number | null; peakBytes: number; oomKills: number }

/** The cgroup of one run, in every hierarchy that counts. */
export type RunCgroup = {
  /** Moves a process (the helper, before it forks the tool) in. */
  join(pid: number): void
  read(): CgroupReading
  /** Kills everything in it at once, where the kernel can (cgroup.kill, Linux 5.14). */
  kill(): void
  /** Resolves once it is empty and removed. */
  remove(): Promise<void>
}

/** The part of the machine's cgroups that this node made for itself. */
export type Cgroups = { create(limits: Limits): RunCgroup; close(): void }

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

function limit({ memory, pids, memoryVersion }: CgroupBases, limits: Limits): void {
  // The helper itself is one process and a few pages of the group.
  write(pids, 'pids.max', limits.processes + 1)
  if (memoryVersion === 2) {
    write(memory, 'memory.max', limits.memoryBytes)
    attempt(() => write(memory, 'memory.swap.max', 0))
    return
  }
  write(memory, 'memory.limit_in_bytes', limits.memoryBytes)
  attempt(() => write(memory, 'memory.memsw.limit_in_bytes', limits.memoryBytes))
  attempt(() => write(memory, 'memory.swappiness', 0))
}

function read({ memory, memoryVersion, cpu, unified }: CgroupBases): CgroupReading {
  const cpuMicros = cpu
    ? Math.round(readNumber(cpu, 'cpuacct.usage') / 1_000)
    : unified
      ? readField(unified, 'cpu.stat', 'usage_usec')
      : null
  if (memoryVersion === 1) {
    const peakBytes = readNumber(memory, 'memory.max_usage_in_bytes')
    return { cpuMicros, peakBytes, oomKills: readField(memory, 'memory.oom_control', 'oom_kill') }
  }
  // memory.peak came with Linux 5.19.
  const peakBytes = existsSync(join(memory, 'memory.peak')) ? readNumber(memory, 'memory.peak') : 0
  return { cpuMicros, peakBytes, oomKills: readField(memory, 'memory.events', 'oom_kill') }
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

function createRun(bases: CgroupBases, limits: Limits): RunCgroup {
  const name = randomName()
  const { cpu, unified } = bases
  const own: CgroupBases = {
    memoryVersion: bases.memoryVersion,
    memory: join(bases.memory, name),
    pids: join(bases.pids, name),
    ...(cpu ? { cpu: join(cpu, name) } : {}),
    ...(unified ? { unified: join(unified, name) } : {}),
  }
  const dirs = dirsOf(own)
  for (const dir of dirs) mkdirSync(dir)
  limit(own, limits)
  return {
    join: (pid) => {
      for (const dir of dirs) write(dir, 'cgroup.procs', pid)
    },
    read: () => read(own),
    kill: () => {
      if (own.unified) killIn(own.unified)
    },
    remove: () => removeDirs(dirs),
  }
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
  if (bases) return { create: (limits) => createRun(bases, limits), close }
  close()
  return undefined
}
