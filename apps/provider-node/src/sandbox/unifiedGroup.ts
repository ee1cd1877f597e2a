import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const CONTROLLERS = ['memory', 'pids']
const LEAF = /^orien-[0-9a-f]+-node$/
/** Rounds of moving what is in a group: a process may fork while it is being moved. */
const ROUNDS = 5

function attempt(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

const wordsOf = (path: string): string[] => readFileSync(path, 'utf8').split(/\s+/).filter(Boolean)

function names(path: string): boolean {
  let words: string[] = []
  attempt(() => {
    words = wordsOf(path)
  })
  return CONTROLLERS.every((name) => words.includes(name))
}

/** Where the node itself goes when the group that it was started in must be empty. */
export const leafOf = (dir: string): string => `${dir}-node`

/** A driver that is opened again finds its process where the first one put it. */
const withoutLeaf = (ownDir: string): string => (LEAF.test(basename(ownDir)) ? dirname(ownDir) : ownDir)

/** The group that the node is in, and all above it up to the root of the hierarchy: where a group of its own could be. */
export function placesFor(ownDir: string, rootDir: string): string[] {
  const places = [withoutLeaf(ownDir)]
  for (let dir = places[0] ?? rootDir; dir !== rootDir && dir.startsWith(rootDir); dir = dirname(dir))
    places.push(dirname(dir))
  return places
}

const enable = (group: string): boolean =>
  attempt(() =>
    writeFileSync(join(group, 'cgroup.subtree_control'), CONTROLLERS.map((name) => `+${name}`).join(' ')),
  )

/** Moves processes of a group into the leaf, until the kernel lets the group count for its children. */
function vacate(ownDir: string, leaf: string): boolean {
  if (!attempt(() => mkdirSync(leaf))) return false
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const pid of wordsOf(join(ownDir, 'cgroup.procs')))
      attempt(() => writeFileSync(join(leaf, 'cgroup.procs'), pid))
    if (enable(ownDir)) return true
  }
  return false
}

const isWritable = (path: string): boolean => attempt(() => accessSync(path, constants.W_OK))

/** Makes a group in a place that hands memory and processes on to its children, or can be brought to. */
function makeIn(place: string, name: string, isReady: () => boolean): string | undefined {
  const dir = join(place, name)
  if (!attempt(() => mkdirSync(dir))) return undefined
  if (isReady() && enable(dir)) return dir
  attempt(() => rmdirSync(dir))
  return undefined
}

/**
 * Makes the node's own group of version 2, in which memory and processes of its children can be bounded. The kernel
 * lets a group do so for its children only while no process is in the group itself. So it is made in the nearest group
 * above the one that the node was started in that does so already (a slice of systemd) and that the node may write.
 * Only where there is none, as in a service that was given its own group and nothing else, is what is in that moved
 * into a child. Inside of a unit without `Delegate=` systemd would end the node with the first tool that runs out of
 * memory (OOMPolicy=).
 *
 * @param places see `placesFor`
 * @returns the group, which counts processor time and kills in any case
 */
export function makeUnified([own = '', ...above]: readonly string[], name: string): string | undefined {
  for (const place of above) {
    if (!names(join(place, 'cgroup.subtree_control')) || !isWritable(join(place, 'cgroup.procs'))) continue
    const dir = makeIn(place, name, () => true)
    if (dir) return dir
  }
  if (names(join(own, 'cgroup.controllers'))) {
    const dir = makeIn(own, name, () => enable(own) || vacate(own, leafOf(join(own, name))))
    if (dir) return dir
  }
  const dir = join(own, name)
  return attempt(() => mkdirSync(dir)) ? dir : undefined
}
