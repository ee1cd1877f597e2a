import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { OrienError } from '@orien/protocol'
import type Dockerode from 'dockerode'
import type { SandboxShape } from '../arguments.ts'
import { framesOf } from '../frameQueue.ts'
import { SANDBOX_LIMITS } from '../limits.ts'
import { type SandboxProcess, untilDead } from '../sandboxProcess.ts'
import { type Door, openDoor } from './door.ts'
import type { Engine } from './engine.ts'
import { type ContainerSetting, containerOptions } from './options.ts'

/** What a driver lends to each of its containers. */
export type ContainerContext = {
  engine: Engine
  setting: ContainerSetting
  /** A directory of this node alone. */
  doorsDir: string
  userFor(workspaceDir: string): number
}

/** Whether a process of this machine is in that container: an engine on another machine has other processes. */
function isIn(pid: number, containerId: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(containerId)
  } catch {
    return false
  }
}

const remove = (container: Dockerode.Container): Promise<void> =>
  // A label remembers what cannot be removed now.
  container.remove({ force: true, v: true }).then(
    () => {},
    () => {},
  )

/** Starts it and waits until its helper has come through the door. */
async function enter(
  container: Dockerode.Container,
  door: Door,
  ended: Promise<unknown>,
): Promise<{ channel: Socket; pid: number }> {
  const late = Promise.withResolvers<undefined>()
  const timer = setTimeout(late.resolve, SANDBOX_LIMITS.setUpMs, undefined)
  try {
    await container.start()
    const gone = Promise.race([late.promise, ended.then(() => undefined)])
    const [channel, { State }] = await Promise.all([Promise.race([door.entered, gone]), container.inspect()])
    if (!channel) throw new OrienError('sandbox_unavailable', 'the container did not start')
    if (!isIn(State.Pid, container.id))
      throw new OrienError('sandbox_unavailable', 'the engine runs its containers on another machine')
    return { channel, pid: State.Pid }
  } finally {
    clearTimeout(timer)
    door.close()
  }
}

/** The sandbox that a started container is; what ends it is told by the engine, and seen by the node. */
function sandboxOf(
  container: Dockerode.Container,
  { channel, pid }: { channel: Socket; pid: number },
  ended: Promise<unknown>,
): SandboxProcess {
  let isGone = false
  const kill = () => {
    if (isGone || !isIn(pid, container.id)) return
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      container.kill({ signal: 'SIGKILL' }).catch(() => {})
    }
  }
  // The helper's end closes its channel, whatever an engine that hangs says of it.
  const closed = new Promise((resolve) => channel.once('close', resolve))
  const exited = Promise.race([ended, closed]).then(async () => {
    kill()
    await untilDead(pid)
    isGone = true
    await Promise.race([remove(container), after(SANDBOX_LIMITS.drainMs, undefined, { ref: false })])
  })
  return {
    channel,
    frames: framesOf(channel),
    initPid: Promise.resolve(pid),
    setAwake: (isAwake) => void (isAwake ? channel.ref() : channel.unref()),
    complaint: () => '',
    kill,
    exited,
  }
}

/**
 * Makes a container with the helper as its PID 1.
 *
 * @throws OrienError `sandbox_unavailable`
 */
export async function launchContainer(
  { engine, setting, doorsDir, userFor }: ContainerContext,
  shape: SandboxShape,
): Promise<SandboxProcess> {
  const door = await openDoor(doorsDir)
  const plan = { shape, user: userFor(shape.workspaceDir), socketPath: door.socketPath }
  const options = containerOptions(plan, setting)
  let container: Dockerode.Container | undefined
  try {
    // Without these two dockerode repeats the whole body in the request's address.
    container = await engine.docker.createContainer({ _query: {}, _body: options } as typeof options)
    // Asked before the start: afterwards a short life could be over unseen.
    const ended = container.wait({ condition: 'next-exit' }).catch(() => {})
    return sandboxOf(container, await enter(container, door, ended), ended)
  } catch (error) {
    door.close()
    if (container) await remove(container)
    if (error instanceof OrienError) throw error
    // An engine's own words name paths of the host.
    throw new OrienError('sandbox_unavailable', 'the engine refused the container', {}, { cause: error })
  }
}
