import { micros } from '@orien/protocol'
import type { NodeOptions } from '../node/startNode.ts'

/** Everything that dispatches name is on its chain, open and deep. */
export const readDeepChannel: NonNullable<NodeOptions['readChannel']> = async (terms) => ({
  ...terms,
  depositMicros: micros(10_000_000n),
  settledMicros: micros(0n),
  closeRequestedAt: 0,
  finalized: false,
})
