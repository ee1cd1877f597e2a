import { existsSync } from 'node:fs'
import type { ContainerCreateOptions } from 'dockerode'
import { type HostLayout, runtimePaths, type SandboxShape } from '../arguments.ts'
import { SANDBOX_LIMITS } from '../limits.ts'

/** What every container of one driver has in common. */
export type ContainerSetting = {
  /** The empty image: everything that a tool sees is bound in. */
  image: string
  /** By which a later start finds what this state directory left. */
  label: string
  layout: HostLayout
  /** Files of ours: the helper, its system-call filter, the users and groups that a tool finds. */
  files: { helper: string; seccomp: string; passwd: string; group: string }
  /** The engine is the node's own user's: it maps that user alone. */
  isRootless: boolean
}

/** One container: what it is for, its host uid, and the node's socket that the helper connects to. */
export type ContainerPlan = { shape: SandboxShape; user: number; socketPath: string }

/** The label that every container of ours carries. */
export const STATE_LABEL = 'orien.state'

const HELPER = '/orien-init'
const CHANNEL = '/orien-channel'
const FILTER = '/orien-filter'

type Mount = { Type: 'bind'; Source: string; Target: string; ReadOnly: boolean }

const bind = (source: string, target: string, isReadOnly = true): Mount => ({
  Type: 'bind',
  Source: source,
  Target: target,
  ReadOnly: isReadOnly,
})

const bounded = (name: string, value: number) => ({ Name: name, Soft: value, Hard: value })

function mountsOf({ shape, socketPath }: ContainerPlan, { layout, files }: ContainerSetting): Mount[] {
  return [
    // Podman makes a directory on the host for a path that is not there.
    ...runtimePaths(shape, layout)
      .filter((path) => existsSync(path))
      .map((path) => bind(path, path)),
    // An empty image has no links such as /lib; what they lead to is bound in their place.
    ...Object.keys(layout.links).map((name) => bind(name, name)),
    bind(files.passwd, '/etc/passwd'),
    bind(files.group, '/etc/group'),
    bind(files.helper, HELPER),
    bind(files.seccomp, FILTER),
    bind(socketPath, CHANNEL),
    bind(shape.workspaceDir, '/workspace', false),
  ]
}

/**
 * The body of `POST /containers/create`. The engine's own filter of system calls stays in force beside ours, which the
 * helper loads. Memory and processes are bounded by the group that the node makes below the container's: an engine
 * could neither change a bound between two runs nor tell a run's memory from that of its own set-up.
 */
export function containerOptions(plan: ContainerPlan, setting: ContainerSetting): ContainerCreateOptions {
  const { shape, user } = plan
  const diskBytes = shape.limits.diskBytes ?? SANDBOX_LIMITS.diskBytes
  return {
    Image: setting.image,
    Labels: { [STATE_LABEL]: setting.label },
    Entrypoint: [HELPER, CHANNEL, FILTER],
    Cmd: [],
    Env: [],
    Hostname: 'orien',
    User: `${user}:${user}`,
    WorkingDir: '/workspace',
    NetworkDisabled: true,
    ...{ AttachStdin: false, AttachStdout: false, AttachStderr: false, OpenStdin: false, Tty: false },
    HostConfig: {
      ...{ NetworkMode: 'none', IpcMode: 'private', PidMode: '', CgroupnsMode: 'private' },
      ...(setting.isRootless ? { UsernsMode: 'keep-id' } : {}),
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      Init: false,
      // All named, because an engine's own defaults may be more than this machine allows anybody.
      Ulimits: [
        ...[bounded('core', 0), bounded('nofile', SANDBOX_LIMITS.openFiles)],
        bounded('nproc', SANDBOX_LIMITS.userProcesses),
      ],
      ShmSize: SANDBOX_LIMITS.sharedMemoryBytes,
      Tmpfs: { '/tmp': `rw,nosuid,nodev,size=${diskBytes},mode=1777` },
      Mounts: mountsOf(plan, setting),
      MaskedPaths: [...new Set([...ENGINE_MASKS, ...setting.layout.masked])],
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
    },
  }
}

/** What engines hide by themselves; naming any replaces their own list. */
const ENGINE_MASKS = [
  ...['/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/latency_stats', '/proc/scsi'],
  ...['/proc/timer_stats', '/sys/firmware', '/sys/devices/virtual/powercap'],
]
