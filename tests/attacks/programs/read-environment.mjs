/** Reads a secret of the environment that the node was started with. Argument: its name. */
import { argument, verdict } from './attack.mjs'

await verdict(() => process.env[argument])
