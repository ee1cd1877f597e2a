import { OrienError } from '@orien/protocol'
import { systemClock } from '../../clock.ts'
import type { SlotContext } from '../context.ts'
import type { Driver, Isolation, Run, SandboxMode } from '../driver.ts'
import { Pool } from '../pool.ts'
import { type Ready, startRun } from '../sandboxRun.ts'
import { proveContainers } from './prove.ts'
import { openContainers } from './slots.ts'

/** See {@link createContainerDriver}. */
export type ContainerOptions = {
  /** A directory of this node alone. */
  stateDir: string
  /** Docker's unless told. */
  socketPath?: string
  /** `warm` unless told. No container is used twice, so `resident` is `warm` as well. */
  mode?: SandboxMode
}

const DOCKER_SOCKET = '/var/run/docker.sock'
const NO_COUNTS = { idle: 0, made: 0, reused: 0, discarded: 0 }

type Opened = { ok: true; context: SlotContext; pool: Pool } | { ok: false; detail: string }

const refused = (detail: string): Isolation => ({
  driver: 'container',
  isolationClass: 'none',
  servesStrangers: false,
  refusal: { code: 'engine_missing', detail },
  canaries: [],
})

/**
 * A container of Docker or Podman around every run, with the same helper as PID 1 and the same system-call filter as a
 * sandbox of bubblewrap. Strangers are served where the engine that is there holds every attack of the self-test and
 * every limit that it tries, at each start.
 */
export function createContainerDriver(options: ContainerOptions): Driver {
  const mode: SandboxMode = options.mode === 'cold' ? 'cold' : 'warm'
  let opened: Promise<Opened> | undefined
  let now: Opened | undefined
  const running = new Set<Run>()

  async function open(): Promise<Opened> {
    try {
      const context = await openContainers(options.stateDir, options.socketPath ?? DOCKER_SOCKET)
      now = { ok: true, context, pool: new Pool(context, mode, systemClock) }
    } catch (error) {
      const detail = error instanceof OrienError ? error.message : 'the engine could not be set up'
      // What is not there now may be there when it is asked for again.
      opened = undefined
      now = { ok: false, detail }
    }
    return now
  }
  const getOpened = () => {
    opened ??= open()
    return opened
  }
  const readyOf = (result: Opened): Ready => result

  const driver: Driver = {
    name: 'container',
    detect: async () => {
      const result = await getOpened()
      return result.ok ? proveContainers(driver, options.stateDir, mode) : refused(result.detail)
    },
    run: (spec, onOutput) => {
      const run = startRun(getOpened().then(readyOf), spec, onOutput)
      running.add(run)
      run.finished.then(() => running.delete(run))
      return run
    },
    release: async (workspaceDir) => {
      if (now?.ok) await now.pool.release(workspaceDir)
    },
    counts: () => (now?.ok ? now.pool.counts() : NO_COUNTS),
    close: async () => {
      for (const run of running) run.kill('cancelled')
      await Promise.all([...running].map((run) => run.finished))
      const result = await opened
      if (result?.ok) await result.pool.close()
      opened = now = undefined
    },
  }
  return driver
}
