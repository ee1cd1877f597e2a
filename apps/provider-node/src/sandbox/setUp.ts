import { execFile } from 'node:child_process'
import { chownSync, lstatSync, readlinkSync, statSync } from 'node:fs'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import { type HostLayout, LAYOUT_NAMES, MASKED_NAMES } from './arguments.ts'
import { openCgroups, sweepCgroups } from './cgroup.ts'
import type { RunContext, SetUp } from './context.ts'
import type { Isolation, SandboxMode } from './driver.ts'
import { createSlotUids, SYSTEM_PATH } from './names.ts'
import { buildHelper } from './native.ts'
import { sweepOrphans } from './orphans.ts'
import { createReach, directReach, sweepStages } from './reach.ts'
import type { SandboxFiles } from './sandboxProcess.ts'
import { seccompFilter } from './seccomp/filter.ts'
import { Spawner } from './spawner.ts'

const run = promisify(execFile)

/** See `createBubblewrapDriver`. */
export type BubblewrapOptions = {
  /** A directory of this node alone: compiled helper, filter, journal of cgroups. Swept at start. */
  stateDir: string
  /** Looked for in `searchPath` unless given. */
  bwrapPath?: string
  /** Directories joined as in PATH; the system's own unless given. */
  searchPath?: string
  /** False measures and limits by helper and rlimits alone, as on a machine without writable cgroups. */
  useCgroups?: boolean
  /** `warm` unless told. */
  mode?: SandboxMode
  /** Of the sandboxes' ages. */
  clock?: Clock
}

/** Older ones know neither --disable-userns nor --assert-userns-disabled. */
const OLDEST_MINOR = 8

const PASSWD = 'orien:x:1000:1000::/workspace:/nonexistent\nnobody:x:65534:65534::/nonexistent:/nonexistent\n'
const GROUP = 'orien:x:1000:\nnogroup:x:65534:\n'

async function findBubblewrap(searchPath: string): Promise<string | null> {
  for (const dir of searchPath.split(delimiter)) {
    const path = join(dir, 'bwrap')
    const found = access(path).then(
      () => true,
      () => false,
    )
    if (dir.startsWith('/') && (await found)) return path
  }
  return null
}

async function isRecentEnough(bwrapPath: string): Promise<boolean> {
  const output = await run(bwrapPath, ['--version'], { env: {} }).catch(() => ({ stdout: '' }))
  const [, major, minor] = /(\d+)\.(\d+)/.exec(output.stdout) ?? []
  return Number(major) > 0 || Number(minor) >= OLDEST_MINOR
}

const OTHERS_READ = 0o004

/** What only the host's root may read is closed to a tool in any case. */
const isReadable = (path: string): boolean =>
  ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS_READ) !== 0

function readLayout(): HostLayout {
  const links: Record<string, string> = {}
  const directories: string[] = []
  for (const name of LAYOUT_NAMES) {
    const entry = lstatSync(name, { throwIfNoEntry: false })
    if (entry?.isSymbolicLink()) links[name] = readlinkSync(name)
    else if (entry) directories.push(name)
  }
  return { links, directories, masked: MASKED_NAMES.filter(isReadable) }
}

async function writeFiles(stateDir: string): Promise<SandboxFiles> {
  const processor = process.arch
  if (processor !== 'x64' && processor !== 'arm64')
    throw new OrienError('sandbox_unavailable', `there is no system-call filter for ${processor}`)
  const files = {
    seccomp: join(stateDir, 'seccomp.bpf'),
    passwd: join(stateDir, 'passwd'),
    group: join(stateDir, 'group'),
  }
  await mkdir(stateDir, { recursive: true, mode: 0o711 })
  await Promise.all([
    writeFile(files.seccomp, seccompFilter(processor)),
    writeFile(files.passwd, PASSWD),
    writeFile(files.group, GROUP),
  ])
  const helper = await buildHelper(join(stateDir, 'native'))
  return { ...files, helper: helper.path }
}

/**
 * Kernel quotas (inotify, pipe pages, keys) are counted per host uid, so each workspace's tools get a uid of their own.
 * A workspace that still belongs to root is handed over first.
 */
function createSlots(): RunContext['uidFor'] {
  if (process.getuid?.() !== 0) return () => undefined
  const nextUid = createSlotUids()
  return (workspaceDir) => {
    const { uid } = statSync(workspaceDir)
    if (uid !== 0) return uid
    const slot = nextUid()
    chownSync(workspaceDir, slot, slot)
    return slot
  }
}

/** Finds what the driver needs, sweeps what a killed node left, and opens the cgroups. */
export async function setUp(options: BubblewrapOptions): Promise<SetUp> {
  const refuse = (code: NonNullable<Isolation['refusal']>['code'], detail: string): SetUp => ({
    ok: false,
    refusal: { code, detail },
  })
  if (process.platform !== 'linux') return refuse('no_isolation', 'bubblewrap exists on Linux alone')
  const bwrapPath = options.bwrapPath ?? (await findBubblewrap(options.searchPath ?? SYSTEM_PATH))
  if (bwrapPath === null) return refuse('bubblewrap_missing', 'bubblewrap is not installed')
  if (!(await isRecentEnough(bwrapPath)))
    return refuse('bubblewrap_missing', 'bubblewrap 0.8 or newer is needed')
  const journalDir = join(options.stateDir, 'cgroups')
  const stagesDir = join(options.stateDir, 'stages')
  const spawnerDir = join(options.stateDir, 'spawner')
  try {
    const [files, program] = await Promise.all([
      writeFiles(options.stateDir),
      buildHelper(join(options.stateDir, 'native'), 'orien-spawn'),
    ])
    sweepOrphans(files.seccomp)
    await sweepCgroups(journalDir)
    await sweepStages(stagesDir)
    await rm(spawnerDir, { recursive: true, force: true })
    const reach = process.getuid?.() === 0 ? createReach(stagesDir) : directReach
    const cgroups = options.useCgroups === false ? undefined : openCgroups(journalDir)
    const spawner = new Spawner(program.path, spawnerDir)
    const context = { bwrapPath, files, layout: readLayout(), uidFor: createSlots(), reach, spawner }
    return { ok: true, context: cgroups ? { ...context, cgroups } : context }
  } catch (error) {
    if (!(error instanceof OrienError)) throw error
    return refuse('no_isolation', error.message)
  }
}
