/** Learns the name of the machine. Argument: that name. */
import { hostname } from 'node:os'
import { argument, verdict } from './attack.mjs'

await verdict(() => hostname() === argument)
