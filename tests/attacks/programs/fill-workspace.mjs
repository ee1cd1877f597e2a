/** Fills the workspace beyond its share. Argument: with how many MiB. */
import { rmSync, writeFileSync } from 'node:fs'
import { argument, verdict } from './attack.mjs'

await verdict(() => {
  const mebibyte = Buffer.alloc(1 << 20)
  const names = Array.from({ length: Number(argument) }, (_, index) => `./orien-attack-fill-${index}`)
  try {
    for (const name of names) writeFileSync(name, mebibyte)
    return true
  } finally {
    for (const name of names) rmSync(name, { force: true })
  }
})
