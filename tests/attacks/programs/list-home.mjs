/** Lists a directory of the owner of the machine. Argument: its path. */
import { readdirSync } from 'node:fs'
import { argument, verdict } from './attack.mjs'

await verdict(() => readdirSync(argument).length > 0)
