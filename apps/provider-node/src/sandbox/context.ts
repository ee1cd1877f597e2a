import type { bubblewrapOptions, HostLayout, SandboxShape } from './arguments.ts'
import type { Cgroups } from './cgroup.ts'
import type { Isolation } from './driver.ts'
import type { Reach } from './reach.ts'
import type { requestOf } from './request.ts'
import type { SandboxFiles, SandboxProcess } from './sandboxProcess.ts'
import type { Spawner } from './spawner.ts'

/** What sandboxes with the helper as their PID 1 are made and watched by, whatever holds them. */
export type SlotContext = {
  /** @throws OrienError `sandbox_unavailable` */
  launch(shape: SandboxShape): Promise<SandboxProcess>
  cgroups?: Pick<Cgroups, 'create' | 'canRebase'>
  requestOf: typeof requestOf
  /** The workspace is nobody's any more. */
  letGo(workspaceDir: string): Promise<void>
}

/** What the driver of bubblewrap lends to each of its sandboxes. */
export type RunContext = {
  bwrapPath: string
  files: SandboxFiles
  layout: HostLayout
  reach: Reach
  spawner: Spawner
  cgroups?: Cgroups
  /** Host uid for this workspace's tools; undefined where the node cannot change it. */
  uidFor(workspaceDir: string): number | undefined
  optionsOf: typeof bubblewrapOptions
  requestOf: typeof requestOf
}

/** A driver that can run tools, or the reason why it cannot. */
export type SetUp =
  | { ok: true; context: RunContext }
  | { ok: false; refusal: NonNullable<Isolation['refusal']> }
