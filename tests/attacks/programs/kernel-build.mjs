/** Learns how the kernel of the machine was built. */
import { readFileSync } from 'node:fs'
import { verdict } from './attack.mjs'

await verdict(() => readFileSync('/proc/version', 'utf8').includes('Linux'))
