/** Changes a file that belongs to the tool. Argument: its path. */
import { appendFileSync } from 'node:fs'
import { argument, verdict } from './attack.mjs'

await verdict(() => {
  appendFileSync(argument, '')
  return true
})
