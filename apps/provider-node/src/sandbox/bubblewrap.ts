import { execFile } from 'node:child_process'
import { chownSync, existsSync, lstatSync, readlinkSync, statSync } from 'node:fs'
import { access, mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'
import { type HostLayout, LAYOUT_NAMES, MASKED_NAMES } from './arguments.ts'
import { openCgroups, sweepCgroups } from './cgroup.ts'
import type { Driver, Run } from './driver.ts'
import { FIRST_SLOT_UID, SLOT_UIDS } from './limits.ts'
import { buildHelper } from './native.ts'
import type { SandboxFiles } from './sandboxProcess.ts'
import { type RunContext, startRun } from './sandboxRun.ts'
import { seccompFilter } from './seccomp/filter.ts'

const run = promisify(execFile)

export type BubblewrapOptions = {
  /** A directory of this node alone: compiled helper, filter, journal of cgroups. Swept at start. */
  stateDir: string
  /** Found on PATH unless given. */
  bwrapPath?: string
  /** False measures and limits by helper and rlimits alone, as on a machine without writable cgroups. */
  useCgroups?: boolean
}

/** Older ones know neither --disable-userns nor --assert-userns-disabled. */
const OLDEST_BUBBLEWRAP = [0, 8]

const PASSWD = 'orien:x:1000:1000::/workspace:/nonexistent\nnobody:x:65534:65534::/nonexistent:/nonexistent\n'
const GROUP = 'orien:x:1000:\nnogroup:x:65534:\n'

/** @returns the first `bwrap` on PATH, or null */
export async function findBubblewrap(): Promise<string | null> {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(dir, 'bwrap')
    if (
      dir.startsWith('/') &&
      (await access(path).then(
        () => true,
        () => false,
      ))
    )
      return path
  }
  return null
}

async function checkVersion(bwrapPath: string): Promise<void> {
  const { stdout } = await run(bwrapPath, ['--version'], { env: {} })
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(stdout) ?? []).slice(1).map(Number)
  const [needMajor = 0, needMinor = 0] = OLDEST_BUBBLEWRAP
  if (major < needMajor || (major === needMajor && minor < needMinor))
    throw new OrienError(
      'sandbox_unavailable',
      `bubblewrap ${major}.${minor} is too old: 0.8 or newer is needed`,
    )
}

function readLayout(): HostLayout {
  const links: Record<string, string> = {}
  const directories: string[] = []
  for (const name of LAYOUT_NAMES) {
    const entry = lstatSync(name, { throwIfNoEntry: false })
    if (entry?.isSymbolicLink()) links[name] = readlinkSync(name)
    else if (entry) directories.push(name)
  }
  return { links, directories, masked: MASKED_NAMES.filter((name) => existsSync(name)) }
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
  let next = Math.floor(Math.random() * SLOT_UIDS)
  return (workspaceDir) => {
    const { uid } = statSync(workspaceDir)
    if (uid !== 0) return uid
    next = (next + 1) % SLOT_UIDS
    chownSync(workspaceDir, FIRST_SLOT_UID + next, FIRST_SLOT_UID + next)
    return FIRST_SLOT_UID + next
  }
}

/**
 * The driver for Linux: a fresh bubblewrap sandbox for each run.
 *
 * @throws OrienError `sandbox_unavailable` without bubblewrap 0.8, or without helper or filter for this processor
 */
export async function openBubblewrap(options: BubblewrapOptions): Promise<Driver> {
  const bwrapPath = options.bwrapPath ?? (await findBubblewrap())
  if (bwrapPath === null) throw new OrienError('sandbox_unavailable', 'bubblewrap is not installed')
  await checkVersion(bwrapPath)
  const journalDir = join(options.stateDir, 'cgroups')
  const files = await writeFiles(options.stateDir)
  await sweepCgroups(journalDir)
  const cgroups = options.useCgroups === false ? undefined : openCgroups(journalDir)
  const context: RunContext = {
    bwrapPath,
    files,
    layout: readLayout(),
    uidFor: createSlots(),
    ...(cgroups ? { cgroups } : {}),
  }
  const running = new Set<Run>()
  return {
    name: 'bubblewrap',
    detect: async () => {
      throw new OrienError('sandbox_unavailable', 'not yet')
    },
    run: (spec, onOutput) => {
      const one = startRun(context, spec, onOutput)
      running.add(one)
      one.finished.then(() => running.delete(one))
      return one
    },
    close: async () => {
      for (const one of running) one.kill('cancelled')
      await Promise.all([...running].map((one) => one.finished))
      cgroups?.close()
    },
  }
}
