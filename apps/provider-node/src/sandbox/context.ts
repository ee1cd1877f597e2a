import type { bubblewrapOptions, HostLayout } from './arguments.ts'
import type { Cgroups } from './cgroup.ts'
import type { Isolation } from './driver.ts'
import type { Reach } from './reach.ts'
import type { requestOf } from './request.ts'
import type { SandboxFiles } from './sandboxProcess.ts'
import type { Spawner } from './spawner.ts'

/** What a driver lends to each of its sandboxes. */
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
