import type { RunSpec } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'

/** Descriptors that bubblewrap and the helper find open; Node passes them by position. */
export const DESCRIPTORS = {
  channel: 3,
  arguments: 4,
  seccomp: 5,
  status: 6,
  helper: 7,
  passwd: 8,
  group: 9,
} as const

/** Where the helper lies inside; nothing of its host path shows. */
export const HELPER_PATH = '/orien-init'

/** Libraries that nearly every program loads. No /usr/bin: a tool that wants a shell must be declared with one. */
const SYSTEM_LIBRARIES = ['/usr/lib', '/usr/lib64', '/usr/lib32', '/usr/libx32']
/** Links into /usr on merged systems, directories elsewhere. */
const LIBRARY_LINKS = ['/lib', '/lib64', '/lib32', '/libx32']
/** On Debian libraries such as libblas.so.3 are links through /etc/alternatives, which holds nothing else. */
const SYSTEM_FILES = ['/etc/ld.so.cache', '/etc/alternatives', '/usr/share/zoneinfo']

/** Facts about the host that the arguments depend on; read once per driver. */
export type HostLayout = {
  /** Which of the library names are symbolic links, with their targets. */
  links: Readonly<Record<string, string>>
  directories: readonly string[]
  /** Those of {@link MASKED_NAMES} that this kernel has. */
  masked: readonly string[]
}

/** Names whose kind (link, directory, absent) decides the layout. */
export const LAYOUT_NAMES: readonly string[] = [...SYSTEM_LIBRARIES, ...LIBRARY_LINKS, ...SYSTEM_FILES]

const SELF_CONTAINED = [
  ...['--unshare-all', '--unshare-user', '--uid', '1000', '--gid', '1000', '--hostname', 'orien'],
  ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--clearenv'],
  ...['--disable-userns', '--assert-userns-disabled', '--as-pid-1'],
  ...['--seccomp', `${DESCRIPTORS.seccomp}`, '--json-status-fd', `${DESCRIPTORS.status}`],
]

const dataFile = (fd: number, mode: string, path: string) => [
  '--perms',
  mode,
  '--ro-bind-data',
  `${fd}`,
  path,
]

/** Keys of other sessions would show here, and the kernel's build gives a stranger nothing but hints. */
export const MASKED_NAMES: readonly string[] = [
  '/proc/keys',
  '/proc/key-users',
  '/proc/version',
  '/proc/sched_debug',
  '/proc/timer_list',
]

/** One host path and where it can be reached. */
export type Shown = { path: string; source: string }

/** What a run's sandbox is made of: runs of one shape can follow one another in one sandbox. */
export type SandboxShape = Pick<
  RunSpec,
  'workspaceDir' | 'argv' | 'limits' | 'readOnlyPaths' | 'manifestHash'
>

/** A path hides inside another bind of the same run. */
const covered = (path: string, others: readonly string[]): boolean =>
  others.some((other) => path !== other && path.startsWith(`${other}/`))

/**
 * The host paths that a run shows read-only: the system's libraries, the tool's own runtime, the executable. What the
 * machine has below one of its links (`/lib/…`) is reached by that link, whose target is shown whole.
 */
export function runtimePaths(spec: SandboxShape, layout: HostLayout): string[] {
  const links = Object.keys(layout.links)
  const wanted = [...new Set([...layout.directories, ...spec.readOnlyPaths, ...spec.argv.slice(0, 1)])].sort()
  return wanted.filter((path) => !links.includes(path) && !covered(path, links) && !covered(path, wanted))
}

/**
 * bubblewrap's options for one run, to be sent NUL-separated over a descriptor: on its command line every tool
 * would read them in /proc/1/cmdline.
 */
export function bubblewrapOptions(
  spec: SandboxShape,
  workspaceDir: string,
  runtime: readonly Shown[],
  layout: HostLayout,
): string[] {
  const tmpBytes = spec.limits.diskBytes ?? SANDBOX_LIMITS.diskBytes
  const paths = runtime.map(({ path }) => path)
  return [
    ...SELF_CONTAINED,
    ...['--proc', '/proc', '--dev', '/dev'],
    ...layout.masked.flatMap((path) => ['--ro-bind-try', '/dev/null', path]),
    ...['--perms', '1777', '--size', `${SANDBOX_LIMITS.sharedMemoryBytes}`, '--tmpfs', '/dev/shm'],
    ...['--perms', '1777', '--size', `${tmpBytes}`, '--tmpfs', '/tmp'],
    ...runtime.flatMap(({ path, source }) => ['--ro-bind-try', source, path]),
    ...Object.entries(layout.links)
      .filter(([name]) => !covered(name, paths))
      .flatMap(([name, target]) => ['--symlink', target, name]),
    ...dataFile(DESCRIPTORS.passwd, '0444', '/etc/passwd'),
    ...dataFile(DESCRIPTORS.group, '0444', '/etc/group'),
    ...dataFile(DESCRIPTORS.helper, '0555', HELPER_PATH),
    ...['--bind', workspaceDir, '/workspace', '--chdir', '/workspace'],
    ...['--remount-ro', '/dev', '--remount-ro', '/proc', '--remount-ro', '/'],
  ]
}

/** NUL-separated, as `--args` reads them. */
export const encodeOptions = (options: readonly string[]): Buffer =>
  Buffer.from(options.map((o) => `${o}\0`).join(''))
