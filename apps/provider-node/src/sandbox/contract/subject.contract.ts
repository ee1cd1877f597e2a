import { invariant } from '@orien/protocol'
import { afterAll, beforeAll } from 'vitest'
import type { Bench } from '../testing/bench.ts'

/** A driver as the contract suite meets it. */
export type Subject = {
  /** The driver with a state directory and a workspace of its own. */
  open(): Promise<Bench>
  /**
   * Whether it claims walls, limits on memory, processes and disk, and a meter of the whole tree. A driver that does
   * not must refuse strangers; it is held to everything else.
   */
  confines: boolean
}

/** A driver for the tests of one group, opened before them and closed after them. */
export function lend({ open }: Pick<Subject, 'open'>): () => Bench {
  let bench: Bench | undefined
  beforeAll(async () => {
    bench = await open()
  })
  afterAll(() => bench?.close())
  return () => {
    invariant(bench, 'a driver was opened before its tests')
    return bench
  }
}
