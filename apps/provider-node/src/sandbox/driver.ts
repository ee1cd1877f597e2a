/**
 * The port that every sandbox stands behind. A driver knows processes, limits and clocks;
 * it knows nothing of sessions' money, of receipts or of the coordinator.
 */
import type { MovedBytes } from '@orien/protocol'

/** The drivers there are. `container` and `seatbelt` are unproven: see docs/sandbox.md. */
export const DRIVER_NAMES = ['bubblewrap', 'container', 'seatbelt', 'process'] as const
/** See {@link DRIVER_NAMES}. */
export type DriverName = (typeof DRIVER_NAMES)[number]

/** What a driver proved about itself by running its canary attacks on this machine, strongest first. */
type IsolationClass = 'namespaces+cgroups' | 'namespaces' | 'none'

/** Where a figure of the meter was read. `helper`: PID 1 of the sandbox, by getrusage, CLOCK_MONOTONIC and /proc/self/io. */
type MeterSource = 'cgroup' | 'helper' | 'node'

/**
 * How a run gets its sandbox. `cold`: made when the run comes. `warm`: a fresh one that was made ahead. `resident`: one
 * in which earlier runs of the same session and tool have been, emptied in between.
 */
export type SandboxMode = 'cold' | 'warm' | 'resident'

/** The outcome of a driver's self-test. `refusal` says, in one line and coded, why strangers are refused. */
export type Isolation = {
  driver: DriverName
  isolationClass: IsolationClass
  servesStrangers: boolean
  refusal?: {
    code:
      | 'bubblewrap_missing'
      | 'helper_missing'
      | 'userns_forbidden'
      | 'engine_missing'
      | 'driver_unproven'
      | 'canary_failed'
      | 'no_isolation'
    detail: string
  }
  /** How runs get their sandboxes; absent where there are none. */
  mode?: SandboxMode
  /** Why that is less than what was asked for. */
  modeReason?: { code: 'memory_peak_not_resettable'; detail: string }
  /** What each canary found, for `doctor` and for the log. */
  canaries: { name: string; contained: boolean }[]
}

/** Hard limits of one run. Every one of them is enforced by the driver itself. */
export type Limits = {
  /** Wall time of the tool, milliseconds; the driver's stop is min(timeMs, deadlineMs). */
  timeMs: number
  memoryBytes: number
  processes: number
  /** Bytes of stdout + stderr together. */
  outputBytes: number
  /** Largest single file, and the size of /tmp; the workspace itself bounds the sum. 1 GiB unless told. */
  diskBytes?: number
}

/** One process to run. `argv[0]` is an absolute path; there is never a shell. */
export type RunSpec = {
  executionId: string
  /** Host directory of the session's workspace, shown to the tool as /workspace (its cwd). */
  workspaceDir: string
  argv: readonly string[]
  env: Readonly<Record<string, string>>
  stdin?: Uint8Array
  limits: Limits
  /** The grant's deadline in milliseconds of effective time; firing it is `budget`, not `timed_out`. */
  deadlineMs: number
  /** Extra host files or directories shown read-only at the same path (a tool's own runtime). */
  readOnlyPaths: readonly string[]
  /** Of the tool. Runs of different tools never share a sandbox, not even one after the other. */
  manifestHash?: string
}

/** Why the driver ended a run. `exit`: the tool ended by itself. */
export type Stop =
  | 'exit'
  | 'time_limit'
  | 'deadline'
  | 'cancelled'
  | 'output_limit'
  | 'out_of_memory'
  | 'disk_limit'
  | 'sandbox_error'

/** A finished run as a record of facts; a failed process is no exception. */
export type RunFacts = {
  stop: Stop
  /** Exit status of the tool; null when a signal ended it. */
  exitCode: number | null
  signal: string | null
  /** exec of the tool to the death of its last process, microseconds, cut at the deadline. */
  effectiveMicros: number
  /** The same in whole milliseconds without the cut: what a stop took is in it. Never billed. */
  lifeMs: number
  /** User + system time of the whole tree, orphans included, microseconds. */
  cpuMicros: number
  maxRssBytes: number
  /** Absent where nobody counted it. */
  io?: MovedBytes
  sources: { wall: MeterSource; cpu: MeterSource; memory: MeterSource; io?: MeterSource }
  outputBytes: number
  /** SHA-256, hex, over all output in the order it was delivered to `onOutput`. */
  outputSha256: string
  /** One line for a person when `stop` is `sandbox_error`; never a host path or a secret. */
  detail?: string
}

export type OutputChunk = { stream: 'stdout' | 'stderr'; bytes: Uint8Array }

/** A run under way. */
export type Run = {
  /**
   * Resolves once the tool was executed, with the time since then in milliseconds, or never: see `finished`. Of a run that
   * is over at once, start and end may be told together.
   */
  started: Promise<number>
  /** Resolves once every process of the tree is dead. Never rejects. */
  finished: Promise<RunFacts>
  /** Kills the whole tree at once; idempotent; `finished` tells the outcome. */
  kill(stop: 'cancelled' | 'deadline'): void
  /** Moves the grant's deadline out (a step was paid); milliseconds of effective time in total. */
  extend(deadlineMs: number): void
}

/**
 * Why a sandbox was not used again. `unwanted`: nobody needed it any more; `run`: its run did not end by itself, or it
 * serves one run alone; `worn`: enough runs have been in it; `memory`: more is still charged to it than a used one may
 * hold; `silent`: it died, or did not say in time that it was empty; the others name what could not be taken away.
 */
export type Discard =
  | 'unwanted'
  | 'run'
  | 'worn'
  | 'memory'
  | 'silent'
  | 'temporary_files'
  | 'shared_memory'
  | 'objects'
  | 'address'
  | 'sockets'

/** Sandboxes that no run is in, and what has become of all of them since the driver was opened. */
export type SlotCounts = {
  idle: number
  made: number
  reused: number
  discarded: number
  /** How many of the discarded for which reason; a reason without any is left out. */
  discardedFor?: Partial<Record<Discard, number>>
}

export type Driver = {
  readonly name: DriverName
  /** Runs the canaries and says which class this machine reaches. */
  detect(): Promise<Isolation>
  /** Starts a run; output is handed over as it appears. A slow `onOutput` (it may return a promise) holds the tool back, it never grows memory. */
  run(spec: RunSpec, onOutput: (chunk: OutputChunk) => void | Promise<void>): Run
  /** The session is over: nothing of the driver holds on to its workspace any more. */
  release(workspaceDir: string): Promise<void>
  counts(): SlotCounts
  /** Kills what is still running and leaves nothing behind. */
  close(): Promise<void>
}
