import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import type { Frames } from './frameQueue.ts'
import { SANDBOX_LIMITS } from './limits.ts'

/** Files that every sandbox of a driver is given by descriptor. */
export type SandboxFiles = { seccomp: string; helper: string; passwd: string; group: string }

/** bubblewrap under way: the node's end of the channel, and what is known from outside. */
export type SandboxProcess = {
  channel: Socket
  /** What the helper says over it. */
  frames: Frames
  /** Host process id of the sandbox's PID 1; null when it never got one. */
  initPid: Promise<number | null>
  /** While none is awake, sandboxes do not keep a program from ending. */
  setAwake(isAwake: boolean): void
  /** What bubblewrap itself had to say; empty when all went well. */
  complaint(): string
  /** Kills the namespace by its PID 1, and bubblewrap. */
  kill(): void
  /** Resolves when bubblewrap is gone. */
  exited: Promise<void>
}

/** bubblewrap without shell, environment, terminal or working directory of the node. */
export type SandboxLaunch = {
  bwrapPath: string
  options: readonly string[]
  files: SandboxFiles
  /** Unprivileged host uid (and gid) to run under; undefined keeps the node's own. */
  uid?: number
}

/** A process that nobody reaps stays as a zombie, which runs as little as none. */
function isDead(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return true
  }
}

/** Resolves when PID 1 of a namespace is dead: the kernel lets it die last. Bounded, because a kill cannot be refused. */
export async function untilDead(pid: number | null | undefined): Promise<void> {
  const giveUpAt = performance.now() + SANDBOX_LIMITS.drainMs
  while (pid && !isDead(pid) && performance.now() < giveUpAt) await after(1)
}
