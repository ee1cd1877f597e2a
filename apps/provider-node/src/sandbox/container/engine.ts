import { OrienError } from '@orien/protocol'
import type Dockerode from 'dockerode'
import type { ContainerCreateOptions } from 'dockerode'
import { STATE_LABEL } from './options.ts'
import type { EngineIdentity } from './proof.ts'

/** Docker or Podman behind its socket. Loaded when it is first asked for: no other driver pays for it. */
export type Engine = {
  docker: Dockerode
  identity: EngineIdentity
  /** `runsc` where the engine has it. */
  runtime?: string
}

const IMAGE = 'orien-empty:1'
/** A tar archive of nothing: two blocks of zeros. */
const EMPTY_ARCHIVE = Buffer.alloc(1_024)
const SANDBOXED_RUNTIME = 'runsc'

/**
 * Connects to the engine at a socket.
 *
 * @throws OrienError `sandbox_unavailable` when nothing answers there
 */
export async function openEngine(socketPath: string): Promise<Engine> {
  const { default: Docker } = await import('dockerode')
  const docker = new Docker({ socketPath })
  const [info, version] = await Promise.all([docker.info(), docker.version()]).catch((cause: unknown) => {
    throw new OrienError('sandbox_unavailable', 'no container engine answers', {}, { cause })
  })
  const runtime = Object.hasOwn(info.Runtimes ?? {}, SANDBOXED_RUNTIME) ? SANDBOXED_RUNTIME : undefined
  const identity = {
    id: String(info.ID ?? ''),
    version: String(version.Version),
    runtime: runtime ?? String(info.DefaultRuntime ?? ''),
  }
  return { docker, identity, ...(runtime ? { runtime } : {}) }
}

/** The image that all runs share; made here, never pulled. */
export async function ensureImage({ docker }: Engine): Promise<string> {
  const known = await docker
    .getImage(IMAGE)
    .inspect()
    .then(
      () => true,
      () => false,
    )
  if (known) return IMAGE
  const { Readable } = await import('node:stream')
  const [repo, tag] = IMAGE.split(':')
  const progress = await docker.importImage(Readable.from([EMPTY_ARCHIVE]) as never, { repo, tag })
  for await (const _ of progress);
  return IMAGE
}

/** Removes what a killed node left. */
export async function sweepContainers({ docker }: Engine, label: string): Promise<void> {
  const filters = { label: [`${STATE_LABEL}=${label}`] }
  for (const { Id } of await docker.listContainers({ all: true, filters }))
    await docker.getContainer(Id).remove({ force: true, v: true })
}

/** A container that is made, attached to and not started. */
export type Attached = {
  container: Dockerode.Container
  stream: NodeJS.ReadWriteStream
  /** Resolves with the status once it has run. */
  status: Promise<number>
}

export async function attach({ docker }: Engine, options: ContainerCreateOptions): Promise<Attached> {
  // Without these two dockerode repeats the whole body in the request's address, profile and all.
  const request = { _query: {}, _body: options } as ContainerCreateOptions
  const container = await docker.createContainer(request)
  const stream = await container.attach({
    ...{ stream: true, hijack: true, stdin: true, stdout: true, stderr: true },
  })
  // Asked before the start: afterwards a short run could be over unseen.
  const status = container.wait({ condition: 'next-exit' }).then(({ StatusCode }) => Number(StatusCode))
  // Whoever starts it looks at it; a container that never starts is removed.
  status.catch(() => {})
  return { container, stream, status }
}
