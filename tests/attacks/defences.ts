import { invariant } from '@orien/protocol'
import type { RunContext } from '../../apps/provider-node/src/sandbox/context.ts'
import type { Rule } from '../../apps/provider-node/src/sandbox/seccomp/rules.ts'

type Options = readonly string[]
type Text = readonly [from: string, to: string]

/** What is taken away with one defence. Whatever is named must be there: a defence that moved is found out. */
export type Weakening = {
  /** bubblewrap's options without it. */
  options?(options: Options): Options
  context?(context: RunContext): Partial<RunContext>
  rules?(rules: readonly Rule[]): readonly Rule[]
  /** The filter's instructions as 32-bit words. */
  words?(words: Uint32Array): void
  init?: readonly Text[]
  spawner?: readonly Text[]
  /** As on a machine where the node may not write control groups. */
  withoutGroups?: true
  /** The workspace is a plain directory. */
  plainWorkspace?: true
}

function without(options: Options, ...words: Options): Options {
  const at = options.findIndex((_, index) => words.every((word, offset) => options[index + offset] === word))
  invariant(at >= 0, `${words.join(' ')} is one of the options`)
  return options.toSpliced(at, words.length)
}

/** Before the remounts, which come last. */
const withMounts = (options: Options, ...words: Options): Options =>
  options.toSpliced(options.indexOf('--remount-ro'), 0, ...words)

const NAMESPACES = ['ipc', 'pid', 'net', 'uts', 'cgroup']

/** Every namespace by name, so that one of them can be left out. */
function named(options: Options): Options {
  if (!options.includes('--unshare-all')) return options
  return [...NAMESPACES.map((name) => `--unshare-${name}`), ...without(options, '--unshare-all')]
}

const sharing = (namespace: string) => (options: Options) => without(named(options), `--unshare-${namespace}`)

/** A directory of the machine in the place of a file system of the sandbox's own. */
const shared = (dir: string) => (options: Options) => {
  const at = options.findIndex((word, index) => word === '--tmpfs' && options[index + 1] === dir)
  const own = options[at - 2] === '--size' ? 4 : 2
  const start = options[at - own] === '--perms' ? at - own : at - 2
  invariant(at > 0 && options[start] === '--perms', `${dir} is a file system of its own`)
  return withMounts(options.toSpliced(start, at + 2 - start), '--bind', dir, dir)
}

const unsized = (dir: string) => (options: Options) => {
  const at = options.findIndex((word, index) => word === '--tmpfs' && options[index + 1] === dir)
  invariant(at === -1 || options[at - 2] === '--size', `${dir} has a size`)
  return at === -1 ? options : options.toSpliced(at - 2, 2)
}

const withoutUser = (options: Options): Options => {
  let left = without(without(named(options), '--unshare-user'), '--uid', '1000', '--gid', '1000')
  for (const option of ['--disable-userns', '--assert-userns-disabled'])
    left = left.includes(option) ? without(left, option) : left
  // Where root has the right to raise limits and where it has not, the same attacks must come through.
  return ['--cap-add', 'ALL', '--cap-drop', 'CAP_SYS_RESOURCE', ...without(left, '--cap-drop', 'ALL')]
}

const request = (
  change: (given: ReturnType<RunContext['requestOf']>) => Partial<typeof given>,
): Weakening => ({
  context: ({ requestOf }) => ({
    requestOf: (...given) => {
      const asked = requestOf(...given)
      return { ...asked, ...change(asked) }
    },
  }),
})

const plain = (options: Options, word: string, instead: string): Options => {
  invariant(options.includes(word), `${word} is one of the options`)
  return options.map((one) => (one === word ? instead : one))
}

const closeFrom = (first: string) => `if (sys3(__NR_close_range, ${first}, ~0U, 0) < 0)`

/**
 * Outside of a namespace of its own the helper's `kill(-1)` would be felt by the whole machine, so it kills its own run
 * alone; it may also not insist on being process 1.
 */
const TAMED: readonly Text[] = [
  ['if (sys0(__NR_getpid) != 1) quit(2);', ''],
  ['sys2(__NR_kill, -1, SIGKILL);', 'if (run->main_pid > 1) sys2(__NR_kill, run->main_pid, SIGKILL);'],
]

/** Each defence of the sandbox, by what is left without it. */
export const DEFENCES: Readonly<Record<string, Weakening>> = {
  ownRoot: {
    options: (options) =>
      withMounts(options, ...['/var/tmp', '/etc/shadow'].flatMap((path) => ['--ro-bind', path, path])),
  },
  ownTemporary: { options: shared('/tmp') },
  ownSharedMemory: { options: shared('/dev/shm') },
  sizedTemporary: { options: unsized('/tmp') },
  sizedSharedMemory: { options: unsized('/dev/shm') },
  readOnlyRoot: { options: (options) => without(options, '--remount-ro', '/') },
  readOnlyDevices: { options: (options) => without(options, '--remount-ro', '/dev') },
  readOnlyProc: { options: (options) => without(options, '--remount-ro', '/proc') },
  readOnlyRuntime: { options: (options) => plain(options, '--ro-bind-try', '--bind-try') },
  maskedProc: { context: ({ layout }) => ({ layout: { ...layout, masked: [] } }) },
  workspaceMount: { plainWorkspace: true },
  ownEnvironment: request(() => ({
    env: Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? ''])),
  })),
  pidNamespace: {
    options: (options) => {
      const left = without(sharing('pid')(options), '--as-pid-1')
      return left.toSpliced(left.indexOf('--proc'), 2, '--bind', '/proc', '/proc')
    },
    init: TAMED,
  },
  netNamespace: { options: (options) => sharing('net')(options) },
  ipcNamespace: { options: sharing('ipc') },
  utsNamespace: { options: (options) => without(sharing('uts')(options), '--hostname', 'orien') },
  cgroupNamespace: { options: sharing('cgroup') },
  nestedUserns: {
    options: (options) => without(without(options, '--disable-userns'), '--assert-userns-disabled'),
  },
  unprivileged: { options: withoutUser, context: () => ({ uidFor: () => undefined }) },
  // A descriptor that a careless library of the node leaves open, and bubblewrap with it.
  spawnerCloses: { spawner: [['sys3(__NR_close_range, 10, ~0U, 0);', 'sys3(__NR_dup3, 0, 20, 0);']] },
  helperCloses: {
    init: [
      [`${closeFrom('CHANNEL')} quit(1);`, ''],
      [`${closeFrom('START_TIMER + 1')} quit(1);`, ''],
      [`${closeFrom('CHANNEL + 1')} quit(2);`, ''],
    ],
  },
  nonDumpable: { init: [['if (sys2(__NR_prctl, PR_SET_DUMPABLE, 0) < 0) quit(2);', '']] },
  coreLimit: { init: [['  set_limit(RLIMIT_CORE, 0);\n', '']] },
  processLimit: request(() => ({ processes: 4_096 })),
  descriptorLimit: request(() => ({ openFiles: 10_000 })),
  fileLimit: request(() => ({ fileBytes: Number.MAX_SAFE_INTEGER })),
  memoryWatch: request(() => ({ memoryBytes: 0 })),
  cgroups: { withoutGroups: true },
  'guard:newest': { words: (words) => allow(words, process.arch === 'x64' ? 2 : 1) },
  'guard:convention': { words: (words) => allow(words, 0) },
}

const ALLOW = 0x7fff_0000
const RETURN = 0x06

/** Lets through what the given guard at the start of the filter refuses; an instruction has two words. */
function allow(words: Uint32Array, guard: number): void {
  const at = [...words.keys()].filter((index) => index % 2 === 0 && words[index] === RETURN)[guard]
  invariant(at !== undefined, 'the filter begins with its guards')
  words[at + 1] = ALLOW
}

/** @param name one of {@link DEFENCES}, or `call:` and a rule of the system-call filter */
export function weakeningOf(name: string): Weakening {
  if (name.startsWith('call:')) {
    const call = name.slice('call:'.length)
    return {
      rules: (rules) => {
        invariant(
          rules.some((rule) => rule.name === call),
          `${call} has a rule`,
        )
        return rules.filter((rule) => rule.name !== call)
      },
    }
  }
  const weakening = DEFENCES[name]
  invariant(weakening !== undefined, `${name} is a defence`)
  return weakening
}
