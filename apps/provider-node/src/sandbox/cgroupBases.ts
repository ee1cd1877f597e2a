import { existsSync, mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { randomName } from './names.ts'
import { leafOf, makeUnified, placesFor } from './unifiedGroup.ts'

/** One mounted hierarchy with the node's own place in it. */
export type Hierarchy = {
  version: 1 | 2
  controllers: readonly string[]
  rootDir: string
  ownDir: string
}

/** Directories by what they count; `unified` kills, and counts processor time where no `cpu` does. */
export type CgroupBases = {
  memoryVersion: 1 | 2
  memory: string
  pids: string
  cpu?: string
  unified?: string
}

const COUNTING = ['memory', 'pids', 'cpuacct']

/** @param cgroupFile text of /proc/self/cgroup @param mounts text of /proc/self/mounts */
export function findHierarchies(cgroupFile: string, mounts: string): Hierarchy[] {
  const mounted = mounts.split('\n').map((line) => line.split(' '))
  return cgroupFile.split('\n').flatMap((line): Hierarchy[] => {
    const [id, names, ...rest] = line.split(':')
    const path = rest.join(':')
    if (id === undefined || names === undefined || path === '') return []
    const kind = names === '' ? 'cgroup2' : 'cgroup'
    const controllers = names.split(',').filter((name) => name !== '')
    const mount = mounted.find(
      ([, , type, options]) =>
        type === kind && controllers.every((name) => options?.split(',').includes(name)),
    )
    if (mount?.[1] === undefined) return []
    const [, rootDir] = mount
    return [{ version: kind === 'cgroup2' ? 2 : 1, controllers, rootDir, ownDir: join(rootDir, path) }]
  })
}

function attempt(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

/** A controller's files show only in a child of a group that has it enabled. */
function counts(dir: string, file: string): boolean {
  const probe = join(dir, randomName())
  if (!attempt(() => mkdirSync(probe))) return false
  const isThere = existsSync(join(probe, file))
  attempt(() => rmdirSync(probe))
  return isThere
}

function makeGroup({ version, ownDir, rootDir }: Hierarchy, name: string): string | undefined {
  if (version === 2) return makeUnified(placesFor(ownDir, rootDir), name)
  const dir = join(ownDir, name)
  return attempt(() => mkdirSync(dir)) ? dir : undefined
}

/** Every directory that `makeBases` might make, or put the node itself in. */
export function plannedDirs(hierarchies: readonly Hierarchy[], name: string): string[] {
  return hierarchies.flatMap(({ version, ownDir, rootDir }) => {
    const places = version === 2 ? placesFor(ownDir, rootDir) : [ownDir]
    return places.map((place) => join(place, name)).flatMap((dir) => [dir, leafOf(dir)])
  })
}

/**
 * Makes a group called `name` wherever the node may, and finds out what each can count.
 *
 * @returns no bases where memory and processes cannot both be limited; `made` is to be removed in any case
 */
export function makeBases(
  hierarchies: readonly Hierarchy[],
  name: string,
): { bases: CgroupBases | undefined; made: string[] } {
  const made = hierarchies
    .filter(({ version, controllers }) => version === 2 || controllers.some((one) => COUNTING.includes(one)))
    .flatMap((hierarchy) => {
      const dir = makeGroup(hierarchy, name)
      return dir === undefined ? [] : [{ version: hierarchy.version, dir }]
    })
  const dirs = made.map(({ dir }) => dir)
  const find = (file: string) => dirs.find((dir) => counts(dir, file))
  const [second, first, pids] = [find('memory.max'), find('memory.limit_in_bytes'), find('pids.max')]
  const memory = second ?? first
  if (memory === undefined || pids === undefined) return { bases: undefined, made: dirs }
  const cpu = find('cpuacct.usage')
  const unified = made.find(({ version }) => version === 2)?.dir
  const bases: CgroupBases = {
    memoryVersion: second === undefined ? 1 : 2,
    memory,
    pids,
    ...(cpu ? { cpu } : {}),
    ...(unified ? { unified } : {}),
  }
  return { bases, made: dirs }
}
