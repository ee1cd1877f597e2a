/** Finds a file of the machine in /tmp. Argument: its name. */
import { readdirSync } from 'node:fs'
import { argument, verdict } from './attack.mjs'

await verdict(() => readdirSync('/tmp').includes(argument))
