/** Loaded into a process before its program: when it is told SIGUSR2 it collects all garbage and says what is alive. */
import { renameSync, writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const { ORIEN_SOAK_DIR: dir } = process.env
if (dir !== undefined)
  process.on('SIGUSR2', () => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    const path = `${dir}/${process.pid}`
    writeFileSync(`${path}.new`, String(heapUsed + external))
    renameSync(`${path}.new`, path)
  })
