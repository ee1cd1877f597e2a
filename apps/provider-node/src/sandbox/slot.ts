import { OrienError } from '@orien/protocol'
import type { SandboxShape } from './arguments.ts'
import type { SlotCgroup } from './cgroup.ts'
import { encodeEmpty, type Frame } from './channel.ts'
import type { SlotContext } from './context.ts'
import type { Discard } from './driver.ts'
import type { Frames } from './frameQueue.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { type SandboxProcess, untilDead } from './sandboxProcess.ts'

/** A sandbox that is set up, with its helper waiting for a run. */
export type Slot = {
  readonly sandbox: SandboxProcess
  readonly initPid: number
  readonly cgroup?: SlotCgroup
  /** Runs that have been in it. */
  runs: number
  isDead: boolean
}

/** bubblewrap names host paths when it refuses; a stranger gets the reason without them. */
export const withoutPaths = (complaint: string): string =>
  complaint.replaceAll(/\/[^\s:'"]*/g, '(path)').slice(0, 200)

/** The next frame, or nothing once it has taken too long. */
async function nextWithin(frames: Frames, patienceMs: number): Promise<Frame | undefined> {
  const late = Promise.withResolvers<undefined>()
  // A node that was held up itself finds the time over and the answer there at once: what has come is read first.
  const timer = setTimeout(() => setImmediate(() => late.resolve(undefined)), patienceMs)
  try {
    return await Promise.race([frames.next(), late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Moves PID 1 into the cgroup. That can take the kernel ten milliseconds, so it is done while bubblewrap is still at
 * work wherever what that counts can be taken off again.
 */
async function join(
  { cgroups }: SlotContext,
  cgroup: SlotCgroup,
  sandbox: SandboxProcess,
  ready: Promise<unknown>,
) {
  if (!cgroups?.canRebase) await ready
  const pid = await sandbox.initPid
  if (pid !== null) await cgroup.join(pid)
}

/**
 * Sets a sandbox up.
 *
 * @throws OrienError `sandbox_unavailable`
 */
export async function openSlot(context: SlotContext, shape: SandboxShape): Promise<Slot> {
  const sandbox = await context.launch(shape)
  // While bubblewrap is at work.
  const cgroup = context.cgroups?.create()
  const answer = nextWithin(sandbox.frames, SANDBOX_LIMITS.setUpMs).catch(() => undefined)
  const joined = cgroup
    ? join(context, cgroup, sandbox, answer).then(
        () => true,
        () => false,
      )
    : true
  const ready = await answer
  const initPid = ready?.kind === 'ready' ? await sandbox.initPid : null
  if (initPid === null) {
    sandbox.kill()
    sandbox.channel.destroy()
    await sandbox.exited
    await cgroup?.remove()
    throw new OrienError(
      'sandbox_unavailable',
      withoutPaths(sandbox.complaint()) || 'the sandbox ended early',
    )
  }
  const slot: Slot = { sandbox, initPid, ...(cgroup ? { cgroup } : {}), runs: 0, isDead: false }
  void sandbox.exited.then(() => {
    slot.isDead = true
  })
  if (!(await joined)) {
    await closeSlot(slot)
    throw new OrienError('sandbox_unavailable', 'the sandbox could not be limited')
  }
  cgroup?.rebase()
  return slot
}

/** In the order of native/leftovers.h. */
const LEFTOVERS: readonly (Discard | undefined)[] = [
  undefined,
  'temporary_files',
  'shared_memory',
  'objects',
  'address',
  'sockets',
]

/**
 * Lets the helper take away what the last run left.
 *
 * @returns why the sandbox cannot be used again; null when it can
 */
export async function emptySlot(slot: Slot): Promise<Discard | null> {
  slot.sandbox.channel.write(encodeEmpty())
  const answer = await nextWithin(slot.sandbox.frames, SANDBOX_LIMITS.emptyMs).catch(() => undefined)
  if (answer?.kind === 'failed') return LEFTOVERS[answer.errno] ?? 'silent'
  if (answer?.kind !== 'ready' || slot.isDead) return 'silent'
  return (slot.cgroup?.rebase() ?? 0) <= SANDBOX_LIMITS.residueBytes ? null : 'memory'
}

/** Ends a sandbox and everything in it. Resolves once nothing of it is left. */
export async function closeSlot({ sandbox, initPid, cgroup }: Slot): Promise<void> {
  const timer = setTimeout(() => {
    cgroup?.kill()
    sandbox.kill()
  }, SANDBOX_LIMITS.backstopMs)
  sandbox.setAwake(true)
  // A helper without a channel ends, and its namespace with it.
  sandbox.channel.destroy()
  await sandbox.exited
  clearTimeout(timer)
  await untilDead(initPid)
  // What cannot be removed now is in a journal and is removed at the next start.
  await cgroup?.remove().catch(() => {})
}
