import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const SOURCES = fileURLToPath(new URL('programs/', import.meta.url))
const BUILT = fileURLToPath(new URL('../node_modules/.cache/orien-attacks/', import.meta.url))
const FLAGS = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', `-I${SOURCES}`]
const COMPILERS_AT_ONCE = 2

/** A compiler is not optional here: an attack that was not built would pass for one that was stopped. */
async function compileAll(names: string[], dir: string): Promise<void> {
  const left = [...names]
  const compile = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop())
      await execute('gcc', [...FLAGS, '-o', join(dir, basename(name, '.c')), join(SOURCES, name)])
  }
  await Promise.all(Array.from({ length: COMPILERS_AT_ONCE }, compile))
}

/**
 * The attacks, ready to run: those in C compiled, the others as they are. Made once for each state of the sources; safe to
 * call from several processes at once.
 *
 * @returns a directory that everybody may read
 */
export async function buildPrograms(): Promise<string> {
  const names = (await readdir(SOURCES)).sort()
  const hash = createHash('sha256')
  for (const name of names) hash.update(name).update(await readFile(join(SOURCES, name)))
  const dir = join(BUILT, hash.digest('hex').slice(0, 32))
  if (existsSync(dir)) return dir
  const unfinished = `${dir}.${process.pid}`
  await mkdir(unfinished, { recursive: true, mode: 0o755 })
  await compileAll(
    names.filter((name) => name.endsWith('.c')),
    unfinished,
  )
  for (const name of names.filter((one) => /\.(py|mjs)$/.test(one)))
    await cp(join(SOURCES, name), join(unfinished, name))
  await rename(unfinished, dir).catch(() => rm(unfinished, { recursive: true }))
  return dir
}
