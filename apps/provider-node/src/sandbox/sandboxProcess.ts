import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { setTimeout as after } from 'node:timers/promises'
import { invariant } from '@orien/protocol'
import { DESCRIPTORS, encodeOptions, HELPER_PATH } from './arguments.ts'
import { SANDBOX_LIMITS } from './limits.ts'

/** Files that every sandbox of a driver is given by descriptor. */
export type SandboxFiles = { seccomp: string; helper: string; passwd: string; group: string }

/** bubblewrap under way: the node's ends of its descriptors. */
export type SandboxProcess = {
  channel: Duplex
  stdin: Duplex
  /** Host process id of the sandbox's PID 1. */
  initPid: Promise<number | null>
  /** What bubblewrap itself had to say; empty when all went well. */
  complaint(): string
  /** Kills the namespace by its PID 1, and bubblewrap. */
  kill(): void
  /** Resolves when bubblewrap and with it the whole PID namespace is gone. */
  exited: Promise<void>
}

export type SandboxLaunch = {
  bwrapPath: string
  options: readonly string[]
  files: SandboxFiles
  /** Unprivileged host uid (and gid) to run under; undefined keeps the node's own. */
  uid?: number
}

/**
 * Spawns bubblewrap without shell, environment, terminal or working directory of the node. Every descriptor it gets
 * is listed here; those that the node itself inherited are closed by the helper before any tool starts.
 */
export function spawnSandbox({ bwrapPath, options, files, uid }: SandboxLaunch): SandboxProcess {
  const opened = [files.seccomp, files.helper, files.passwd, files.group].map((path) => openSync(path, 'r'))
  const [seccomp, helper, passwd, group] = opened
  invariant(
    seccomp !== undefined && helper !== undefined && passwd !== undefined && group !== undefined,
    'all four files are open',
  )
  try {
    const child = spawn(bwrapPath, ['--args', `${DESCRIPTORS.arguments}`, '--', HELPER_PATH], {
      cwd: '/',
      env: {},
      shell: false,
      windowsHide: true,
      stdio: ['pipe', 'ignore', 'pipe', 'pipe', 'pipe', seccomp, 'pipe', helper, passwd, group],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    return connect(child, encodeOptions(options))
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}

/** Peers that vanish mid-write are told by `exited`; the stream's own error adds nothing. */
function pipe(child: ChildProcess, fd: number): Duplex {
  const stream = (child.stdio as readonly unknown[])[fd]
  invariant(stream instanceof Duplex, 'spawn made every pipe')
  return stream.on('error', () => {})
}

function connect(child: ChildProcess, options: Buffer): SandboxProcess {
  pipe(child, DESCRIPTORS.arguments).end(options)
  let complaint = ''
  pipe(child, 2).on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(0, SANDBOX_LIMITS.complaintBytes)
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', (error: NodeJS.ErrnoException) => {
      complaint ||= error.code ?? 'spawn failed'
      resolve()
    })
  })
  const initPid = readInitPid(pipe(child, DESCRIPTORS.status), exited)
  let init: number | null = null
  initPid.then((pid) => {
    init = pid
  })
  return {
    channel: pipe(child, DESCRIPTORS.channel),
    stdin: pipe(child, 0),
    initPid,
    complaint: () => complaint.trim(),
    kill: () => {
      // Its number is its own as long as bubblewrap, which alone reaps it, is there.
      if (init !== null && child.exitCode === null && child.signalCode === null) killProcess(init)
      child.kill('SIGKILL')
    },
    exited,
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Dead already: that is what was wanted.
  }
}

/** bubblewrap writes `{"child-pid": N, …}` on a line of its own as soon as the namespace exists. */
function readInitPid(status: Duplex, exited: Promise<void>): Promise<number | null> {
  return new Promise((resolve) => {
    let text = ''
    status.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(-SANDBOX_LIMITS.complaintBytes)
      const found = /"child-pid":\s*(\d+)/.exec(text)
      if (found?.[1]) resolve(Number(found[1]))
    })
    exited.then(() => resolve(null))
  })
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
