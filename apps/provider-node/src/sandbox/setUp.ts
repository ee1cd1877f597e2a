import { execFile } from 'node:child_process'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import { bubblewrapOptions } from './arguments.ts'
import { openCgroups, sweepCgroups } from './cgroup.ts'
import type { RunContext, SetUp } from './context.ts'
import type { Isolation, SandboxMode } from './driver.ts'
import { GROUP, PASSWD, readLayout } from './layout.ts'
import { SYSTEM_PATH } from './names.ts'
import { buildHelper, type ProgramSources } from './native.ts'
import { sweepOrphans } from './orphans.ts'
import { createReach, directReach, stagesDirIn, sweepStages } from './reach.ts'
import { requestOf } from './request.ts'
import type { SandboxFiles } from './sandboxProcess.ts'
import { seccompFilter } from './seccomp/filter.ts'
import { createSlots } from './slotUids.ts'
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
  /** Where the programs of native/ come from, unless told. */
  programs?: ProgramSources
  /** Takes a defence away, to see what it stops. Tests alone give one: neither configuration nor environment leads here. */
  weaken?(context: RunContext): RunContext
}

/** Older ones know neither --disable-userns nor --assert-userns-disabled. */
const OLDEST_MINOR = 8

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

/** What every sandbox is given: the filter, and the users and groups that a tool finds. */
export async function writeFiles(stateDir: string): Promise<Omit<SandboxFiles, 'helper'>> {
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
  return files
}

/** The helper and the program that starts sandboxes, or why there are none: nothing else could keep the meter. */
async function buildPrograms({
  stateDir,
  programs,
}: BubblewrapOptions): Promise<{ helper: string; spawn: string } | { refusal: string }> {
  const native = join(stateDir, 'native')
  try {
    const [helper, spawn] = await Promise.all([
      buildHelper(native, 'orien-init', programs),
      buildHelper(native, 'orien-spawn', programs),
    ])
    return { helper: helper.path, spawn: spawn.path }
  } catch (error) {
    if (error instanceof OrienError) return { refusal: error.message }
    throw error
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
  const stagesDir = stagesDirIn(options.stateDir)
  const spawnerDir = join(options.stateDir, 'spawner')
  try {
    const files = await writeFiles(options.stateDir)
    const programs = await buildPrograms(options)
    if ('refusal' in programs) return refuse('helper_missing', programs.refusal)
    sweepOrphans(files.seccomp)
    await sweepCgroups(journalDir)
    await sweepStages(stagesDir)
    await rm(spawnerDir, { recursive: true, force: true })
    const reach = process.getuid?.() === 0 ? createReach(stagesDir) : directReach
    const cgroups = options.useCgroups === false ? undefined : openCgroups(journalDir)
    const spawner = new Spawner(programs.spawn, spawnerDir)
    const context: RunContext = {
      bwrapPath,
      files: { ...files, helper: programs.helper },
      layout: readLayout(),
      uidFor: createSlots(),
      reach,
      spawner,
      optionsOf: bubblewrapOptions,
      requestOf,
      ...(cgroups ? { cgroups } : {}),
    }
    return { ok: true, context: options.weaken?.(context) ?? context }
  } catch (error) {
    if (!(error instanceof OrienError)) throw error
    return refuse('no_isolation', error.message)
  }
}
