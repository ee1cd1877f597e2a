import type { ContainerCreateOptions } from 'dockerode'
import { type HostLayout, runtimePaths } from '../arguments.ts'
import type { RunSpec } from '../driver.ts'
import { SANDBOX_LIMITS } from '../limits.ts'

/** What every container of one driver has in common. */
export type ContainerSetting = {
  /** The empty image: everything that a tool sees is bound in. */
  image: string
  /** By which a later start finds what this state directory left. */
  label: string
  layout: HostLayout
  /** The profile as JSON. */
  seccomp: string
  /** Files of ours: users and groups that the tool finds. */
  passwd: string
  group: string
  /** `runsc` where the engine has it; else the engine's own. */
  runtime?: string
}

/** The label that every container of ours carries. */
export const STATE_LABEL = 'orien.state'

type Mount = { Type: 'bind'; Source: string; Target: string; ReadOnly: boolean }

const bind = (source: string, target: string, isReadOnly = true): Mount => ({
  Type: 'bind',
  Source: source,
  Target: target,
  ReadOnly: isReadOnly,
})

function mountsOf(spec: RunSpec, { layout, passwd, group }: ContainerSetting): Mount[] {
  return [
    ...runtimePaths(spec, layout).map((path) => bind(path, path)),
    // An empty image has no links such as /lib; what they lead to is bound in their place.
    ...Object.keys(layout.links).map((name) => bind(name, name)),
    bind(passwd, '/etc/passwd'),
    bind(group, '/etc/group'),
    bind(spec.workspaceDir, '/workspace', false),
  ]
}

/**
 * The body of `POST /containers/create` for one run.
 *
 * @param user host uid that the tool runs under, which owns the workspace
 */
export function containerOptions(
  spec: RunSpec,
  setting: ContainerSetting,
  user: number,
): ContainerCreateOptions {
  const { limits } = spec
  const diskBytes = limits.diskBytes ?? SANDBOX_LIMITS.diskBytes
  const bounded = (name: string, value: number) => ({ Name: name, Soft: value, Hard: value })
  return {
    Image: setting.image,
    Labels: { [STATE_LABEL]: setting.label },
    Entrypoint: [...spec.argv],
    Cmd: [],
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Hostname: 'orien',
    User: `${user}:${user}`,
    WorkingDir: '/workspace',
    NetworkDisabled: true,
    ...{ AttachStdin: true, AttachStdout: true, AttachStderr: true, OpenStdin: true, StdinOnce: true },
    Tty: false,
    HostConfig: {
      ...{ NetworkMode: 'none', IpcMode: 'private', PidMode: '', CgroupnsMode: 'private' },
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges', `seccomp=${setting.seccomp}`],
      Privileged: false,
      // Reaps, and lets a signal end the tool as anywhere else: process 1 itself would ignore it.
      Init: true,
      Memory: limits.memoryBytes,
      MemorySwap: limits.memoryBytes,
      // The reaper is one of the container's processes.
      PidsLimit: limits.processes + 1,
      Ulimits: [bounded('core', 0), bounded('nofile', SANDBOX_LIMITS.openFiles), bounded('fsize', diskBytes)],
      ShmSize: SANDBOX_LIMITS.sharedMemoryBytes,
      Tmpfs: { '/tmp': `rw,nosuid,nodev,size=${diskBytes},mode=1777` },
      Mounts: mountsOf(spec, setting),
      MaskedPaths: [...layoutMasks(setting)],
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      ...(setting.runtime ? { Runtime: setting.runtime } : {}),
    },
  }
}

/** What engines hide by themselves, and what of ours they do not. */
const ENGINE_MASKS = [
  ...['/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/latency_stats', '/proc/scsi'],
  ...['/proc/timer_stats', '/sys/firmware', '/sys/devices/virtual/powercap'],
]

const layoutMasks = ({ layout }: ContainerSetting): Set<string> =>
  new Set([...ENGINE_MASKS, ...layout.masked])
