import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'

const run = promisify(execFile)

/** Paths of one command: far below what the kernel takes as arguments. */
const MOST_PATHS = 500

const octal = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))

function mounts(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1]?.replaceAll(/\\([0-7]{3})/g, octal) ?? '')
}

/** Mount points of this machine below `dir`, deepest first. */
export function mountsBelow(dir: string): string[] {
  return mounts()
    .filter((mount) => mount.startsWith(`${dir}/`))
    .sort((a, b) => b.length - a.length)
}

type Waiting = { path: string; resolve: () => void; reject: (error: OrienError) => void }

const waiting: Waiting[] = []
let isScheduled = false
let isRunning = false

/**
 * Detached at once even when something still holds a file open: what holds it then sees the end of it. What is asked for
 * while the last command runs shares the next one, since starting a command is nearly all that this costs.
 *
 * @throws OrienError `setup_failed`
 */
export function unmount(path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  waiting.push({ path, resolve, reject })
  schedule()
  return promise
}

function schedule(): void {
  if (isScheduled || isRunning) return
  isScheduled = true
  setImmediate(() => {
    isScheduled = false
    isRunning = true
    void unmountAll(waiting.splice(0, MOST_PATHS)).finally(() => {
      isRunning = false
      if (waiting.length > 0) schedule()
    })
  })
}

async function unmountAll(batch: readonly Waiting[]): Promise<void> {
  try {
    await run('umount', ['-l', '--', ...batch.map(({ path }) => path)])
    for (const { resolve } of batch) resolve()
  } catch (cause) {
    const left = stillMounted()
    for (const { path, resolve, reject } of batch) {
      if (left && !left.has(path)) resolve()
      else reject(new OrienError('setup_failed', 'a mount of the node could not be removed', {}, { cause }))
    }
  }
}

/** The command goes on after a path that it cannot detach, and does not say well which one that was. */
function stillMounted(): ReadonlySet<string> | null {
  try {
    return new Set(mounts())
  } catch {
    return null
  }
}
