import { execFile } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'
import { randomName } from './names.ts'
import { mountsBelow, unmount } from './unmount.ts'

const run = promisify(execFile)

/** Host paths as an unprivileged uid can reach them. */
export type Reach = {
  /** A path that any uid can walk to; the same until it is dropped. */
  show(path: string): Promise<string>
  drop(path: string): Promise<void>
  close(): Promise<void>
}

const OTHERS_ENTER = 0o001

/** Whether every directory above `path` lets strangers through. */
function isReachable(path: string): boolean {
  for (let dir = dirname(path); ; dir = dirname(dir)) {
    if (((statSync(dir, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS_ENTER) === 0) return false
    if (dir === '/') return true
  }
}

/** Where a driver notes what it has staged. */
export const stagesDirIn = (stateDir: string): string => join(stateDir, 'stages')

/** Takes down what a killed node had staged. */
export async function sweepStages(journalDir: string): Promise<void> {
  if (!existsSync(journalDir)) return
  for (const name of readdirSync(journalDir)) {
    const stage = readFileSync(join(journalDir, name), 'utf8')
    await removeStage(stage)
    rmSync(join(journalDir, name), { force: true })
  }
}

async function removeStage(stage: string): Promise<void> {
  if (!existsSync(stage)) return
  for (const mount of mountsBelow(stage)) await unmount(mount)
  for (const entry of readdirSync(stage, { withFileTypes: true })) {
    if (entry.isDirectory()) rmdirSync(join(stage, entry.name))
    else rmSync(join(stage, entry.name))
  }
  rmdirSync(stage)
}

/**
 * A root node runs bubblewrap under an unprivileged uid, which cannot walk through a private directory such as
 * root's home. Such paths are bound into a directory that it can walk through, under names that tell nothing.
 */
export function createReach(journalDir: string, runDir = '/run'): Reach {
  const stage = join(runDir, `orien-${randomName()}`)
  const shown = new Map<string, Promise<string>>()
  const bind = async (path: string): Promise<string> => {
    if (!existsSync(stage)) {
      mkdirSync(journalDir, { recursive: true, mode: 0o700 })
      writeFileSync(join(journalDir, randomName()), stage, { mode: 0o600 })
      mkdirSync(stage, { mode: 0o711 })
    }
    const place = join(stage, randomName())
    if (lstatSync(path).isDirectory()) mkdirSync(place)
    else writeFileSync(place, '')
    await run('mount', ['--bind', '--', path, place]).catch((cause: unknown) => {
      throw new OrienError('setup_failed', 'a path could not be shown to the sandbox', {}, { cause })
    })
    return place
  }
  return {
    show: (path) => {
      if (!existsSync(path) || isReachable(path)) return Promise.resolve(path)
      const place = shown.get(path) ?? bind(path)
      shown.set(path, place)
      // What failed once may work when it is asked for again.
      place.catch(() => shown.delete(path))
      return place
    },
    drop: async (path) => {
      const place = await shown.get(path)?.catch(() => undefined)
      shown.delete(path)
      if (place === undefined) return
      await unmount(place)
      rmdirSync(place)
    },
    close: async () => {
      await Promise.allSettled(shown.values())
      await removeStage(stage)
      await sweepStages(journalDir)
    },
  }
}

/** Nothing to do where the sandbox runs under the node's own uid. */
export const directReach: Reach = {
  show: (path) => Promise.resolve(path),
  drop: async () => {},
  close: async () => {},
}
