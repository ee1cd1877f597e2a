import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findHierarchies } from '../../apps/provider-node/src/sandbox/cgroupBases.ts'

/** Puts this process, and with it all that it starts, into control groups whose path has a word in it. */
export function enterNamedGroup(word: string): { leave(): void } {
  const hierarchies = findHierarchies(
    readFileSync('/proc/self/cgroup', 'utf8'),
    readFileSync('/proc/self/mounts', 'utf8'),
  )
  const entered: { dir: string; before: string }[] = []
  const move = (dir: string) => writeFileSync(join(dir, 'cgroup.procs'), `${process.pid}`)
  for (const { ownDir, controllers, version } of hierarchies) {
    if (version === 1 && !controllers.includes('memory') && !controllers.includes('pids')) continue
    const dir = join(ownDir, word)
    mkdirSync(dir)
    move(dir)
    entered.push({ dir, before: ownDir })
  }
  return {
    leave: () => {
      for (const { dir, before } of entered) {
        move(before)
        rmdirSync(dir)
      }
    },
  }
}
