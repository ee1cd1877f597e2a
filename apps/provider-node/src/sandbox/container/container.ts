import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OrienError } from '@orien/protocol'
import { runCanaries } from '../canaries.ts'
import type { Driver, Isolation, Run } from '../driver.ts'
import { GROUP, PASSWD, readLayout } from '../layout.ts'
import { seccompProfile } from '../seccomp/profile.ts'
import { createSlots } from '../slotUids.ts'
import { type Engine, ensureImage, openEngine, sweepContainers } from './engine.ts'
import { isProved } from './proof.ts'
import { type ContainerContext, startContainerRun } from './run.ts'

/** See {@link createContainerDriver}. */
export type ContainerOptions = {
  /** A directory of this node alone. */
  stateDir: string
  /** Docker's unless told. */
  socketPath?: string
}

const DOCKER_SOCKET = '/var/run/docker.sock'

async function open({ stateDir, socketPath = DOCKER_SOCKET }: ContainerOptions): Promise<ContainerContext> {
  const engine = await openEngine(socketPath)
  const processor = process.arch
  if (processor !== 'x64' && processor !== 'arm64')
    throw new OrienError('sandbox_unavailable', `there is no system-call filter for ${processor}`)
  await mkdir(stateDir, { recursive: true, mode: 0o711 })
  const [passwd, group] = [join(stateDir, 'passwd'), join(stateDir, 'group')]
  await Promise.all([writeFile(passwd, PASSWD), writeFile(group, GROUP)])
  const label = createHash('sha256').update(stateDir).digest('hex').slice(0, 32)
  await sweepContainers(engine, label)
  const uidFor = createSlots()
  const seccomp = JSON.stringify(seccompProfile(processor))
  const { runtime } = engine
  const image = await ensureImage(engine)
  return {
    engine,
    setting: { image, label, layout: readLayout(), seccomp, passwd, group, ...(runtime ? { runtime } : {}) },
    userFor: (workspaceDir) => uidFor(workspaceDir) ?? process.getuid?.() ?? 0,
  }
}

type Refusal = NonNullable<Isolation['refusal']>

const refused = (refusal: Refusal, canaries: Isolation['canaries'] = []): Isolation => ({
  driver: 'container',
  isolationClass: 'none',
  servesStrangers: false,
  refusal,
  canaries,
})

/** Two things are asked of it: that the whole contract was seen to hold with this engine here, and the canaries, now. */
async function prove(driver: Driver, engine: Engine, stateDir: string): Promise<Isolation> {
  if (!(await isProved(stateDir, engine.identity))) {
    const { version, runtime } = engine.identity
    const detail = `the contract suite has not passed on this machine with engine ${version} (${runtime})`
    return refused({ code: 'driver_unproven', detail })
  }
  const { canaries, facts } = await runCanaries(driver, stateDir)
  if (facts.stop === 'sandbox_error')
    return refused({ code: 'canary_failed', detail: facts.detail ?? 'a container could not be made' })
  const escaped = canaries.filter(({ contained }) => !contained).map(({ name }) => name)
  if (escaped.length > 0)
    return refused({ code: 'canary_failed', detail: `not contained: ${escaped.join(', ')}` }, canaries)
  return {
    driver: 'container',
    isolationClass: 'namespaces+cgroups',
    servesStrangers: true,
    mode: 'cold',
    canaries,
  }
}

/**
 * A container of Docker or Podman around every run. Unproven: strangers are refused on every machine where the contract
 * suite has not passed with the very engine that is there.
 */
export function createContainerDriver(options: ContainerOptions): Driver {
  let opened: Promise<ContainerContext> | undefined
  let made = 0
  const running = new Set<Run>()
  const getOpened = () => {
    opened ??= open(options)
    opened.catch(() => {
      opened = undefined
    })
    return opened
  }
  const driver: Driver = {
    name: 'container',
    detect: () =>
      getOpened().then(
        ({ engine }) => prove(driver, engine, options.stateDir),
        (error: unknown) => {
          const detail = error instanceof OrienError ? error.message : 'the engine could not be set up'
          return refused({ code: 'engine_missing', detail })
        },
      ),
    run: (spec, onOutput) => {
      made += 1
      const run = startContainerRun(getOpened(), spec, onOutput)
      running.add(run)
      run.finished.then(() => running.delete(run))
      return run
    },
    release: async () => {},
    counts: () => ({ idle: 0, made, reused: 0, discarded: 0 }),
    close: async () => {
      for (const run of running) run.kill('cancelled')
      await Promise.all([...running].map((run) => run.finished))
      opened = undefined
    },
  }
  return driver
}
