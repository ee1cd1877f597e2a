import { copyFile, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildHelper, NATIVE_PROGRAMS } from '../native.ts'

const COMPILED_DIR = fileURLToPath(new URL('../../../node_modules/.cache/orien-native', import.meta.url))

/**
 * Puts the native programs where a driver looks for them first. They are compiled once for all tests: a compiler takes
 * seconds on a busy machine, and every test has a directory of its own.
 *
 * @returns the path of the canary there
 */
export async function lendPrograms(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true, mode: 0o711 })
  let canary = ''
  for (const program of NATIVE_PROGRAMS) {
    const { path } = await buildHelper(COMPILED_DIR, program)
    const copy = join(dir, basename(path))
    await copyFile(path, copy)
    if (program === 'orien-canary') canary = copy
  }
  return canary
}
