import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { assertNever, LIMITS, OrienError } from '@orien/protocol'
import { BUILTIN_MANIFEST, loadTools } from './manifest/loadTools.ts'
import { createOfferedTools, type OfferedTools } from './manifest/offeredTools.ts'
import type { ToolSet } from './manifest/tools.ts'
import { openSpools, type Spools } from './output/spool.ts'
import { createScheduler, type Scheduler } from './run/scheduler.ts'
import type { Workspaces } from './run/workspaces.ts'
import { createBubblewrapDriver } from './sandbox/bubblewrap.ts'
import { createContainerDriver } from './sandbox/container/container.ts'
import type { Driver, DriverName, Isolation, SandboxMode } from './sandbox/driver.ts'
import { compareIsolation, type Downgrade } from './sandbox/isolationRecord.ts'
import { SYSTEM_PATH } from './sandbox/names.ts'
import { stagesDirIn, sweepStages } from './sandbox/reach.ts'
import { createSeatbeltDriver } from './sandbox/seatbelt.ts'
import { createProcessDriver } from './sandbox/unsandboxed.ts'
import { clearWorkspaces, openWorkspaces } from './workspace/workspaces.ts'

const MANIFEST_NAME = 'orien.tools.yaml'

/** What decides how this machine runs tools. */
export type StageOptions = {
  /** `orien.tools.yaml` of the data directory, or else that of the tools that come with the node, unless told. */
  manifestFile?: string
  /** Directories in which executables of the manifest are looked for, joined as in PATH. */
  searchPath?: string
  /** Names of executables with a fixed meaning, beside `node`. */
  executables?: Readonly<Record<string, string>>
  /** Tools that run at once; the number of processors unless told. */
  concurrency: number
  /** For development: runs tools without any isolation where there is none. Strangers are served all the same. */
  allowUnisolated?: boolean
  /** How runs get their sandboxes: made ahead (`warm`) unless told. */
  sandboxMode?: SandboxMode
  /** bubblewrap unless told. */
  driver?: Driver
  /** The same by name. */
  driverName?: DriverName
  /** Of Docker or Podman, for the container driver. */
  engineSocket?: string
}

/** Everything that runs tools, and knows nothing of money. */
export type ToolStage = {
  driver: Driver
  isolation: Isolation
  /** Set while this machine isolates less than it once did. */
  downgrade?: Downgrade
  /** Always the one map; a reload changes what is in it. */
  tools: ToolSet
  offered: OfferedTools
  /** Reads the tools file again, whole, and changes nothing. @throws what `loadTools` throws */
  readTools(): Promise<ToolSet>
  workspaces: Workspaces
  spools: Spools
  scheduler: Scheduler
  close(): Promise<void>
}

/** What outlives a process: executions with output still to be delivered, and sessions. */
export type Earlier = { keptOutput: ReadonlySet<string>; goesOn: (sessionId: string) => boolean }

/**
 * Loads the tools, proves the sandbox and sweeps what an earlier process left.
 *
 * @param earlier what goes on of an earlier process, and without this one
 * @throws OrienError `sandbox_unavailable` when this machine cannot hold a stranger's work, and what `loadTools` throws
 */
export async function openStage(
  dataDir: string,
  options: StageOptions,
  earlier: Earlier,
): Promise<ToolStage> {
  const readTools = () =>
    loadTools(options.manifestFile ?? defaultManifest(dataDir), {
      searchPath: options.searchPath ?? SYSTEM_PATH,
      known: { node: process.execPath, ...options.executables },
    })
  const offered = createOfferedTools(await readTools())
  const { current: tools } = offered
  const { driver, isolation } = await chooseDriver(dataDir, options)
  const downgrade = await compareIsolation(dataDir, isolation.isolationClass)
  const workspaces = await openWorkspaces({
    rootDir: workspacesDir(dataDir),
    sizeBytes: () => Math.max(...[...tools.values()].map((tool) => tool.manifest.limits.diskBytes)),
    maxFiles: LIMITS.filesListed,
    goesOn: earlier.goesOn,
    beforeRemoval: (dir) => driver.release(dir),
  })
  return {
    driver,
    isolation,
    ...(downgrade ? { downgrade } : {}),
    tools,
    offered,
    readTools,
    workspaces,
    spools: await openSpools(join(dataDir, 'output'), earlier.keptOutput),
    scheduler: createScheduler(options.concurrency),
    close: async () => {
      await driver.close()
      await workspaces.close()
    },
  }
}

/** Where the files of sessions are. */
export const workspacesDir = (dataDir: string): string => join(dataDir, 'workspaces')

/** Where bubblewrap's driver keeps what outlives a run. */
const sandboxDir = (dataDir: string): string => join(dataDir, 'sandbox')

/** Removes the files of all sessions of a node that does not run, and what a killed one still showed of them. */
export async function clearFiles(dataDir: string): Promise<void> {
  // A file system stays for as long as one of its mounts does.
  await sweepStages(stagesDirIn(sandboxDir(dataDir)))
  await clearWorkspaces(workspacesDir(dataDir))
}

/** The owner's own list where there is one, else the tools that come with the node. */
function defaultManifest(dataDir: string): string {
  const own = join(dataDir, MANIFEST_NAME)
  return existsSync(own) ? own : BUILTIN_MANIFEST
}

function createDriver(dataDir: string, options: StageOptions): Driver {
  const { driverName = 'bubblewrap', sandboxMode, engineSocket } = options
  switch (driverName) {
    case 'bubblewrap':
      return createBubblewrapDriver({
        stateDir: sandboxDir(dataDir),
        ...(sandboxMode ? { mode: sandboxMode } : {}),
      })
    case 'container':
      return createContainerDriver({
        stateDir: join(sandboxDir(dataDir), 'container'),
        ...(sandboxMode ? { mode: sandboxMode } : {}),
        ...(engineSocket ? { socketPath: engineSocket } : {}),
      })
    case 'seatbelt':
      return createSeatbeltDriver()
    case 'process':
      return createProcessDriver()
    default:
      return assertNever(driverName)
  }
}

async function chooseDriver(
  dataDir: string,
  options: StageOptions,
): Promise<Pick<ToolStage, 'driver' | 'isolation'>> {
  const driver = options.driver ?? createDriver(dataDir, options)
  const isolation = await driver.detect()
  if (isolation.servesStrangers) return { driver, isolation }
  if (!options.allowUnisolated) {
    await driver.close()
    const { code = 'no_isolation', detail = 'this machine cannot isolate tools' } = isolation.refusal ?? {}
    throw new OrienError('sandbox_unavailable', detail, { refusal: code, canaries: isolation.canaries })
  }
  // Whoever names a driver gets that one: it may hold an owner's own work though it may not hold a stranger's.
  if (options.driver || options.driverName) return { driver, isolation }
  await driver.close()
  const unsandboxed = createProcessDriver()
  return { driver: unsandboxed, isolation: await unsandboxed.detect() }
}
