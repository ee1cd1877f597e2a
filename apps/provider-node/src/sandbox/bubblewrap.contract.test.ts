import { describeDriver } from './driver.contract.ts'
import { openBench, SANDBOX_MODES } from './testing/bench.ts'

for (const mode of SANDBOX_MODES)
  describeDriver(`bubblewrap, ${mode}`, { open: () => openBench({ mode }), confines: true })
