import type { SandboxShape } from './arguments.ts'
import type { Slot } from './slot.ts'

/** Sandboxes for the runs of one session and tool. */
export type Shelf = {
  readonly key: string
  readonly shape: SandboxShape
  readonly idle: { readonly slot: Slot; readonly sinceMs: number }[]
  /** On their way to being idle; a run that finds no idle one takes the first of them. */
  readonly coming: Coming[]
  used: number
  /** Most that were in use at once; as many are kept ready. */
  mostUsed: number
  isReleased: boolean
}

/** A sandbox that is being made or emptied. */
export type Coming = { readonly slot: Promise<Slot | undefined>; isTaken: boolean }

/** What must be the same for two runs to follow one another in one sandbox. */
export const keyOf = ({ workspaceDir, argv, limits, readOnlyPaths, manifestHash }: SandboxShape): string =>
  JSON.stringify([workspaceDir, argv[0], limits.diskBytes, readOnlyPaths, manifestHash])

/** Only what a sandbox is made of; arguments of a run do not stay here. */
const shapeOf = ({
  workspaceDir,
  argv,
  limits,
  readOnlyPaths,
  manifestHash,
}: SandboxShape): SandboxShape => ({
  workspaceDir,
  argv: argv.slice(0, 1),
  limits,
  readOnlyPaths,
  ...(manifestHash === undefined ? {} : { manifestHash }),
})

export const emptyShelf = (key: string, shape: SandboxShape): Shelf => ({
  key,
  shape: shapeOf(shape),
  idle: [],
  coming: [],
  used: 0,
  mostUsed: 0,
  isReleased: false,
})

/** The shelf with the sandbox that has waited longest, and since when. */
export function oldestOf(shelves: Iterable<Shelf>): { shelf: Shelf; sinceMs: number } | undefined {
  let oldest: { shelf: Shelf; sinceMs: number } | undefined
  for (const shelf of shelves) {
    const sinceMs = shelf.idle[0]?.sinceMs
    if (sinceMs !== undefined && sinceMs < (oldest?.sinceMs ?? Number.POSITIVE_INFINITY))
      oldest = { shelf, sinceMs }
  }
  return oldest
}
