/** Loaded into a process before its program: when it is told SIGUSR2 it collects all garbage and says what is alive. */
import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'

const { ORIEN_SOAK_DIR: dir } = process.env
if (dir !== undefined) {
  const session = new Session()
  session.connect()
  process.on('SIGUSR2', () => {
    // V8 goes on until nothing more is found; one `gc()` left between 5 and 30 MiB of it, by the work of the moment.
    session.post('HeapProfiler.collectGarbage', () => {
      const { heapUsed, external } = process.memoryUsage()
      const path = `${dir}/${process.pid}`
      writeFileSync(`${path}.new`, String(heapUsed + external))
      renameSync(`${path}.new`, path)
    })
  })
}
