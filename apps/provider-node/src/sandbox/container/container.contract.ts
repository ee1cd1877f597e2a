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

// Run by scripts/proveEngine.ts alone, against a real engine.
for (const mode of ['cold', 'warm'] as const)
  describeDriver(`containers of a real engine, ${mode}`, {
    open: () => openBench({ make: (stateDir) => createContainerDriver({ stateDir, socketPath, mode }) }),
    confines: true,
  })
