import { inject } from 'vitest'
import { describeDriver } from '../driver.contract.ts'
import { openBench } from '../testing/bench.ts'
import { createContainerDriver } from './container.ts'

declare module 'vitest' {
  interface ProvidedContext {
    engineSocket: string
  }
}

const socketPath = inject('engineSocket')

// Run by scripts/proveEngine.ts alone, against a real engine: whatever passes here has passed.
describeDriver('containers of a real engine', {
  open: () => openBench({ make: (stateDir) => createContainerDriver({ stateDir, socketPath }) }),
  confines: true,
})
