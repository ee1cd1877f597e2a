import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildHelper, NATIVE_DIR, NATIVE_PROGRAMS, sourceHash } from './native.ts'

const execute = promisify(execFile)

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-native-'))
})
afterEach(() => rm(dir, { recursive: true }))

describe('building a native program', () => {
  it('happens once, and the same file serves from then on', async () => {
    const first = await buildHelper(dir, 'orien-canary')
    const second = await buildHelper(dir, 'orien-canary')
    expect(second).toEqual({ ...first, source: 'cached' })
    expect(await readdir(dir)).toHaveLength(1)
  })

  it('by many at once leaves one whole file and nothing half-made', async () => {
    const built = await Promise.all(Array.from({ length: 4 }, () => buildHelper(dir, 'orien-canary')))
    expect(new Set(built.map(({ path, sha256 }) => `${path} ${sha256}`)).size).toBe(1)
    expect(await readdir(dir)).toHaveLength(1)
  })

  it('without a compiler takes the prebuilt one, which works the same', async () => {
    const { path, source } = await buildHelper(dir, 'orien-canary', { compilers: ['no-such-compiler'] })
    expect(source).toBe('prebuilt')
    await expect(execute(path, ['fail', '5'])).rejects.toMatchObject({ code: 5 })
  })

  it('refuses to run the meter anywhere but as PID 1 of a namespace of its own', async () => {
    const { path } = await buildHelper(dir, 'orien-init')
    await expect(execute(path)).rejects.toMatchObject({ code: 2 })
  })
})

describe('the prebuilt programs', () => {
  it('are the ones that SHA256SUMS names, made of the sources as they are', async () => {
    const sums = await readFile(join(NATIVE_DIR, 'prebuilt', 'SHA256SUMS'), 'utf8')
    for (const program of NATIVE_PROGRAMS) {
      for (const machine of ['linux-x64', 'linux-arm64']) {
        const bytes = await readFile(join(NATIVE_DIR, 'prebuilt', machine, program))
        expect(sums).toContain(`${createHash('sha256').update(bytes).digest('hex')}  ${machine}/${program}\n`)
      }
      expect(sums).toContain(`${await sourceHash(program)}  source of ${program}\n`)
    }
  })
})
