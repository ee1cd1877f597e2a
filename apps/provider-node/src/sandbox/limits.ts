/** Bounds of the sandbox that no tool's manifest may lift. Units last. */
export const SANDBOX_LIMITS = {
  /** From spawning bubblewrap to the tool's exec. */
  setUpMs: 10_000,
  /** How long after its own stop the helper may take before the whole namespace is killed from outside. */
  backstopMs: 25,
  /** How long a killed sandbox may take to be gone before what is left of it is left to the next sweep. */
  drainMs: 5_000,
  /** From asking a used sandbox to be emptied to its being ready again. */
  emptyMs: 1_000,
  /** Sandboxes that wait for a run: of one session and tool, of all together, and how long each. */
  idleSlotsPerTool: 8,
  idleSlots: 32,
  idleSlotMs: 120_000,
  /** What an emptied sandbox may still be charged for (its helper, files of the workspace); a dearer one is discarded. */
  residueBytes: 16_777_216,
  /** Runs that may follow one another in one sandbox. */
  slotRuns: 10_000,
  openFiles: 1_024,
  /** Of the user of a container, in all of its containers together; each run is bounded by its own group. */
  userProcesses: 4_096,
  /** One file's size and the size of /tmp, where the run names no `diskBytes`. */
  diskBytes: 1_073_741_824,
  sharedMemoryBytes: 16_777_216,
  /** argv and environment together, each with its NUL; the helper takes 2 MiB with its own fields. */
  commandLineBytes: 2_097_000,
  /** One element of argv or of the environment; the kernel's MAX_ARG_STRLEN less the final NUL. */
  argumentBytes: 131_071,
  arguments: 4_096,
  /** One piece of a tool's input; the next one is sent when it is wanted. */
  inputBytes: 65_536,
  /** bubblewrap's options, as sent to the process that starts it. */
  launchBytes: 59_000,
  /** What is kept of bubblewrap's own complaints. */
  complaintBytes: 2_048,
  /** Time for one canary inside and for the whole self-test. */
  canaryMs: 5_000,
} as const

/** First of the host uids that sandboxes run under when the node is root: above every range that systemd hands out. */
export const FIRST_SLOT_UID = 1_900_000_000
/** Slot uids before they repeat. */
export const SLOT_UIDS = 65_536
