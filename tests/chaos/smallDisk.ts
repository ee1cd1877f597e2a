import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** A file system of a few megabytes that can be filled to the last byte. */
export type SmallDisk = {
  fill: () => void
  free: () => void
  unmount: () => void
}

const BLOCK = Buffer.alloc(65_536)

/** Mounts a tmpfs; needs root, and the right to mount. @throws TypeError when it is refused */
export function mountSmallDisk(dir: string, megabytes: number): SmallDisk {
  const options = `size=${megabytes}m,mode=755`
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'orien-chaos', dir], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new TypeError(`no small disk at ${dir}: ${stderr}`)
  const ballast = join(dir, 'ballast')
  return {
    fill: () => fillUp(ballast),
    free: () => rmSync(ballast, { force: true }),
    unmount: () => void spawnSync('umount', ['--lazy', dir]),
  }
}

function fillUp(path: string): void {
  const file = openSync(path, 'w')
  try {
    // From large pieces to single bytes, until there is not room for one.
    for (let size = BLOCK.length; size >= 1; size = Math.floor(size / 16)) writeUntilFull(file, size)
  } finally {
    closeSync(file)
  }
}

function writeUntilFull(file: number, size: number): void {
  try {
    for (;;) writeSync(file, BLOCK, 0, size)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
