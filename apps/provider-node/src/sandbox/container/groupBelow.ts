import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { invariant, OrienError } from '@orien/protocol'
import { dirsOf, openGroup, placeIn, type SlotCgroup } from '../cgroup.ts'
import { type CgroupBases, findHierarchies, type Hierarchy } from '../cgroupBases.ts'

/** Where a process is counted, by what is counted there; nothing where memory or processes are not. */
export function basesOf(hierarchies: readonly Hierarchy[]): CgroupBases | undefined {
  const find = (controller: string) =>
    hierarchies.find(({ controllers }) => controllers.includes(controller))?.ownDir
  const [memory, pids, cpu] = [find('memory'), find('pids'), find('cpuacct')]
  if (memory && pids && cpu) return { memoryVersion: 1, memory, pids, cpu }
  const unified = hierarchies.find(({ version }) => version === 2)?.ownDir
  if (!unified || memory || pids) return undefined
  return { memoryVersion: 2, memory: unified, pids: unified, unified }
}

/** Version 2 counts for children of a group only once no process is in the group itself. */
function enable({ memoryVersion, memory }: CgroupBases): void {
  if (memoryVersion === 2) writeFileSync(join(memory, 'cgroup.subtree_control'), '+memory +pids')
}

function moveBelow(pid: number): SlotCgroup {
  const hierarchies = findHierarchies(
    readFileSync(`/proc/${pid}/cgroup`, 'utf8'),
    readFileSync('/proc/self/mounts', 'utf8'),
  )
  const bases = basesOf(hierarchies)
  if (!bases) throw new OrienError('sandbox_unavailable', 'the engine limits neither memory nor processes')
  const own = placeIn(bases)
  for (const dir of dirsOf(own)) {
    mkdirSync(dir)
    writeFileSync(join(dir, 'cgroup.procs'), `${pid}`)
  }
  enable(bases)
  const limit = memoryVersionLimit(own)
  if (!existsSync(limit)) throw new OrienError('sandbox_unavailable', 'the engine’s groups cannot be limited')
  return openGroup(own)
}

const memoryVersionLimit = ({ memoryVersion, memory }: CgroupBases): string =>
  join(memory, memoryVersion === 1 ? 'memory.limit_in_bytes' : 'memory.max')

/**
 * A group of the node below the one that the engine makes for a container. What the engine's set-up used is not in it,
 * and the container's namespace of groups shows nothing of where it lies.
 */
export function createGroupBelow(): SlotCgroup {
  let below: SlotCgroup | undefined
  const joined = (): SlotCgroup => {
    invariant(below, 'a container was joined before it is used')
    return below
  }
  return {
    join: async (pid) => {
      below = moveBelow(pid)
    },
    rebase: () => joined().rebase(),
    limit: (limits) => joined().limit(limits),
    read: () => joined().read(),
    kill: () => below?.kill(),
    remove: async () => below?.remove(),
  }
}
