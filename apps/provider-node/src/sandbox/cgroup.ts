import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
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

/** One mounted hierarchy with the node's own place in it. */
type Hierarchy = { version: 1 | 2; controllers: readonly string[]; ownDir: string }

/** Two writes are tried and judged: a controller that is there but forbidden is like one that is absent. */
function attempt(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

/** @param cgroupFile text of /proc/self/cgroup @param mounts text of /proc/self/mounts */
export function findHierarchies(cgroupFile: string, mounts: string): Hierarchy[] {
  const mounted = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[2] === 'cgroup' || fields[2] === 'cgroup2')
  return cgroupFile.split('\n').flatMap((line): Hierarchy[] => {
    const [id, names, ...rest] = line.split(':')
    const path = rest.join(':')
    if (id === undefined || names === undefined || path === '') return []
    const wanted = names === '' ? 'cgroup2' : 'cgroup'
    const controllers = names.split(',').filter((name) => name !== '')
    const mount = mounted.find(
      ([, , type, options]) =>
        type === wanted && controllers.every((name) => options?.split(',').includes(name)),
    )
    if (mount?.[1] === undefined) return []
    return [{ version: wanted === 'cgroup2' ? 2 : 1, controllers, ownDir: join(mount[1], path) }]
  })
}

const readNumber = (file: string): number => Number(readFileSync(file, 'utf8').trim())

const readField = (file: string, field: string): number => {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${field} `))
  return Number(line?.split(' ')[1] ?? 0)
}

/** The directories of one run by what they are for. */
type Places = { memory?: string; pids?: string; cpu?: string; unified?: string; version: 1 | 2 }

function limit(places: Places, limits: Limits): void {
  const { memory, pids, version } = places
  const bytes = `${limits.memoryBytes}`
  // The helper itself is one process and a few pages of the group.
  if (pids) writeFileSync(join(pids, 'pids.max'), `${limits.processes + 1}`)
  if (!memory) return
  if (version === 2) {
    writeFileSync(join(memory, 'memory.max'), bytes)
    attempt(() => writeFileSync(join(memory, 'memory.swap.max'), '0'))
    return
  }
  writeFileSync(join(memory, 'memory.limit_in_bytes'), bytes)
  attempt(() => writeFileSync(join(memory, 'memory.memsw.limit_in_bytes'), bytes))
  attempt(() => writeFileSync(join(memory, 'memory.swappiness'), '0'))
}

function readPlaces({ memory, cpu, unified, version }: Places): CgroupReading {
  const usage = cpu
    ? Math.round(readNumber(join(cpu, 'cpuacct.usage')) / 1_000)
    : unified
      ? readField(join(unified, 'cpu.stat'), 'usage_usec')
      : null
  if (!memory) return { cpuMicros: usage, peakBytes: 0, oomKills: 0 }
  return version === 2
    ? {
        cpuMicros: usage,
        peakBytes: existsSync(join(memory, 'memory.peak')) ? readNumber(join(memory, 'memory.peak')) : 0,
        oomKills: readField(join(memory, 'memory.events'), 'oom_kill'),
      }
    : {
        cpuMicros: usage,
        peakBytes: readNumber(join(memory, 'memory.max_usage_in_bytes')),
        oomKills: readField(join(memory, 'memory.oom_control'), 'oom_kill'),
      }
}

/** A group reports `populated` for some milliseconds after its last process died, and rmdir says EBUSY until then. */
async function removeDirs(dirs: readonly string[]): Promise<void> {
  const giveUpAt = performance.now() + SANDBOX_LIMITS.cgroupDrainMs
  let left = dirs.filter((dir) => existsSync(dir))
  while (left.length > 0 && performance.now() < giveUpAt) {
    left = left.filter((dir) => !attempt(() => rmdirSync(dir)) && existsSync(dir))
    if (left.length > 0) await after(1)
  }
}

function killIn(dir: string): void {
  if (existsSync(join(dir, 'cgroup.kill'))) attempt(() => writeFileSync(join(dir, 'cgroup.kill'), '1'))
}

/** Enables controllers for children of a v2 group, which the kernel allows only while the group itself is empty. */
function delegate(base: Hierarchy, dir: string): void {
  const leaf = join(base.ownDir, `orien-node-${randomName()}`)
  const wanted = '+memory +pids +cpu'
  const offered = readFileSync(join(base.ownDir, 'cgroup.controllers'), 'utf8').split(/\s/)
  if (!offered.includes('memory') || !offered.includes('pids')) return
  if (!attempt(() => writeFileSync(join(base.ownDir, 'cgroup.subtree_control'), wanted))) {
    attempt(() => mkdirSync(leaf))
    attempt(() => writeFileSync(join(leaf, 'cgroup.procs'), `${process.pid}`))
    attempt(() => writeFileSync(join(base.ownDir, 'cgroup.subtree_control'), wanted))
  }
  attempt(() => writeFileSync(join(dir, 'cgroup.subtree_control'), wanted))
}

/** Removes what a node that was killed left behind; its processes died with it or die now. */
export async function sweepCgroups(journalDir: string): Promise<void> {
  if (!existsSync(journalDir)) return
  for (const name of readdirSync(journalDir)) {
    const journal = join(journalDir, name)
    const bases = readFileSync(journal, 'utf8')
      .split('\n')
      .filter((dir) => dir !== '' && existsSync(dir))
    for (const base of bases) {
      const runs = readdirSync(base, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(base, entry.name))
      for (const dir of [...runs, base]) killIn(dir)
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
  const name = `orien-${randomName()}`
  const hierarchies = findHierarchies(
    readFileSync('/proc/self/cgroup', 'utf8'),
    readFileSync('/proc/self/mounts', 'utf8'),
  )
  const made = hierarchies
    .filter(
      ({ version, controllers }) =>
        version === 2 || controllers.some((one) => ['memory', 'pids', 'cpuacct'].includes(one)),
    )
    .map((hierarchy) => ({ ...hierarchy, dir: join(hierarchy.ownDir, name) }))
    .filter(({ dir }) => attempt(() => mkdirSync(dir)))
  mkdirSync(journalDir, { recursive: true, mode: 0o700 })
  const journal = join(journalDir, name)
  writeFileSync(journal, made.map(({ dir }) => dir).join('\n'), { mode: 0o600 })
  for (const hierarchy of made) if (hierarchy.version === 2) delegate(hierarchy, hierarchy.dir)
  const find = (file: string) => made.find(({ dir }) => canLimit(dir, file))
  const [v1Memory, v1Pids, v2] = [find('memory.limit_in_bytes'), find('pids.max'), find('memory.max')]
  const memory = v2 ?? v1Memory
  const cpu = find('cpuacct.usage')
  const unified = made.find(({ version }) => version === 2)
  const close = () => {
    for (const { dir } of made) attempt(() => rmdirSync(dir))
    if (made.every(({ dir }) => !existsSync(dir))) rmSync(journal, { force: true })
  }
  if (!memory || !v1Pids) {
    close()
    return undefined
  }
  const bases = { memory: memory.dir, pids: v1Pids.dir, cpu: cpu?.dir, unified: unified?.dir }
  return { create: (limits) => createRun(bases, memory.version, limits), close }
}

/** The controller's files show only in a child of a group that has it enabled. */
function canLimit(dir: string, file: string): boolean {
  const probe = join(dir, randomName())
  if (!attempt(() => mkdirSync(probe))) return false
  const found = existsSync(join(probe, file))
  attempt(() => rmdirSync(probe))
  return found
}

type Bases = { memory: string; pids: string; cpu: string | undefined; unified: string | undefined }

function createRun(bases: Bases, version: 1 | 2, limits: Limits): RunCgroup {
  const name = randomName()
  const child = (base: string | undefined) => (base === undefined ? {} : join(base, name))
  const places: Places = {
    version,
    memory: join(bases.memory, name),
    pids: join(bases.pids, name),
    ...(typeof child(bases.cpu) === 'string' ? { cpu: join(bases.cpu ?? '', name) } : {}),
    ...(bases.unified ? { unified: join(bases.unified, name) } : {}),
  }
  const dirs = [...new Set([places.memory, places.pids, places.cpu, places.unified])].filter(
    (dir) => dir !== undefined,
  )
  for (const dir of dirs) mkdirSync(dir)
  limit(places, limits)
  return {
    join: (pid) => {
      for (const dir of dirs) writeFileSync(join(dir, 'cgroup.procs'), `${pid}`)
    },
    read: () => readPlaces(places),
    kill: () => {
      if (places.unified) killIn(places.unified)
    },
    remove: () => removeDirs(dirs),
  }
}
