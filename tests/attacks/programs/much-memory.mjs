/** Takes more memory than it may. Argument: how many MiB. */
import { argument, verdict } from './attack.mjs'

await verdict(() => Array.from({ length: Number(argument) }, () => Buffer.alloc(1 << 20, 1)).length > 0)
