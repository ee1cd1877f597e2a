import { Readable } from 'node:stream'
import { OrienError } from '@orien/protocol'
import type Dockerode from 'dockerode'
import { STATE_LABEL } from './options.ts'

/** Docker or Podman behind its socket. Loaded when it is first asked for: no other driver pays for it. */
export type Engine = {
  docker: Dockerode
  version: string
  /** It runs as an ordinary user, and containers with what that user may do. */
  isRootless: boolean
}

const IMAGE_LABEL = 'orien.image=empty'
/** A tar archive of nothing: two blocks of zeros. */
const EMPTY_ARCHIVE = Buffer.alloc(1_024)

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
  const options: unknown = info.SecurityOptions
  const isRootless = Array.isArray(options) && options.some((option) => `${option}`.includes('rootless'))
  return { docker, version: String(version.Version), isRootless }
}

/** The image that all containers share; made here, never pulled. Podman forgets its name, so it is known by a label. */
export async function ensureImage({ docker }: Engine): Promise<string> {
  const find = async () => (await docker.listImages({ filters: { label: [IMAGE_LABEL] } }))[0]?.Id
  const known = await find()
  if (known) return known
  const options = { repo: 'orien-empty', changes: `LABEL ${IMAGE_LABEL}` }
  const progress = await docker.importImage(Readable.from([EMPTY_ARCHIVE]) as never, options)
  for await (const _ of progress);
  const made = await find()
  if (made) return made
  throw new OrienError('sandbox_unavailable', 'the engine took no image')
}

/** Removes what a killed node left. */
export async function sweepContainers({ docker }: Engine, label: string): Promise<void> {
  const filters = { label: [`${STATE_LABEL}=${label}`] }
  for (const { Id } of await docker.listContainers({ all: true, filters }))
    await docker.getContainer(Id).remove({ force: true, v: true })
}
