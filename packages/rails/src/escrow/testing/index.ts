/** What tests and benchmarks of other packages measure with; nothing outside a test may import this. */
export {
  batchedSessionGas,
  directSessionGas,
  keptSessionGas,
  openGasWorld,
  relayedSessionGas,
  type SessionGas,
  transfersGas,
} from './sessionGas.ts'
export { openWorld } from './world.ts'
