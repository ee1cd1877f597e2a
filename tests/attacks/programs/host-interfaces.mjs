/** Finds a network interface besides its own loopback. */
import { readFileSync } from 'node:fs'
import { verdict } from './attack.mjs'

const names = () =>
  readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .slice(2)
    .map((line) => line.split(':')[0]?.trim())

await verdict(() => names().some((name) => name && name !== 'lo'))
