import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { DESCRIPTORS, HELPER_PATH } from './arguments.ts'

/** Whether a process is a sandbox of this state directory that has not got as far as its helper. */
function isInSetUp(pid: string, seccompFile: string): boolean {
  try {
    const isOurs = readlinkSync(join('/proc', pid, 'fd', `${DESCRIPTORS.seccomp}`)) === seccompFile
    return (
      isOurs &&
      readFileSync(join('/proc', pid, 'cmdline'), 'latin1')
        .split('\0')
        .includes(HELPER_PATH)
    )
  } catch {
    return false
  }
}

/**
 * Kills sandboxes that a killed node left in the middle of their set-up. bubblewrap ties its child to itself only at
 * the end of it: killed in between, the child waits forever for a word from its parent. Whatever got as far as the
 * helper ends by itself, because the helper's channel to the node is gone.
 *
 * @param seccompFile open in every sandbox of this state directory during set-up, and in nothing else
 */
export function sweepOrphans(seccompFile: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid || !isInSetUp(pid, seccompFile)) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // Gone in the meantime.
    }
  }
}
