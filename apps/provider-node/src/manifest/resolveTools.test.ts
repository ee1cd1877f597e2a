import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ToolManifest } from '@orien/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveTools } from './resolveTools.ts'

let dir = ''

beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'orien-resolve-')))
  await mkdir(join(dir, 'bin'))
  await writeFile(join(dir, 'bin', 'tool-1.2'), '#!/bin/true\n')
  await chmod(join(dir, 'bin', 'tool-1.2'), 0o755)
  await symlink('tool-1.2', join(dir, 'bin', 'tool'))
  await writeFile(join(dir, 'bin', 'plain'), 'no program')
  await writeFile(join(dir, 'beside.mjs'), '')
})
afterAll(() => rm(dir, { recursive: true }))

const manifest = (given: Partial<ToolManifest>): ToolManifest => ({
  id: 'one',
  description: 'One',
  arguments: { properties: {}, required: [] },
  limits: { timeMs: 1_000, memoryBytes: 8 << 20, processes: 1, diskBytes: 1 << 20, outputBytes: 1_024 },
  network: 'none',
  outputs: [],
  executable: 'tool',
  argv: [],
  env: {},
  readOnlyPaths: [],
  ...given,
})

const placeOf = (field: readonly PropertyKey[]) => `tools.yaml:3:1 ${field.join('.')}`

const resolve = async (given: Partial<ToolManifest>, searchPath = join(dir, 'bin')) => {
  const declared = { manifest: manifest(given), manifestDir: dir, at: placeOf }
  const tools = await resolveTools([declared], { searchPath, known: { node: process.execPath } })
  return tools.get('one')
}

describe('resolving executables', () => {
  test('a name is found on the search path, and links are followed once and for all', async () => {
    expect((await resolve({}))?.executable).toBe(join(dir, 'bin', 'tool-1.2'))
  })

  test('a known name, an absolute path and one beside the manifest are found without a search', async () => {
    expect((await resolve({ executable: 'node' }, ''))?.executable).toBe(await realpath(process.execPath))
    expect((await resolve({ executable: join(dir, 'bin', 'tool') }, ''))?.executable).toContain('tool-1.2')
    expect((await resolve({ executable: './bin/tool' }, ''))?.executable).toContain('tool-1.2')
  })

  test.each(['absent', 'plain', './bin', 'toString'])(
    '%s is no executable, and the tool is named',
    async (executable) => {
      await expect(resolve({ executable })).rejects.toMatchObject({
        code: 'setup_failed',
        message: expect.stringContaining('tool one'),
      })
    },
  )

  test('a relative directory of the search path is never looked into', async () => {
    await expect(resolve({}, `bin:.:${''}`)).rejects.toMatchObject({ code: 'setup_failed' })
  })

  test('{manifestDir} and relative read-only paths mean the directory of the manifest', async () => {
    const tool = await resolve({
      argv: [{ kind: 'literal', value: '{manifestDir}/beside.mjs' }],
      env: { HERE: '{manifestDir}' },
      readOnlyPaths: ['./beside.mjs'],
    })
    expect(tool?.manifest.argv).toEqual([{ kind: 'literal', value: join(dir, 'beside.mjs') }])
    expect(tool?.manifest.env).toEqual({ HERE: dir })
    expect(tool?.readOnlyPaths).toEqual([join(dir, 'beside.mjs')])
  })

  test('the published hash does not depend on the machine', async () => {
    const here = await resolve({ argv: [{ kind: 'literal', value: '{manifestDir}/beside.mjs' }] })
    expect(here?.hash).toBe((await resolve({ executable: 'node' }))?.hash)
  })

  test('everything that is not there is named at once, each with its place', async () => {
    const missing = resolve({ executable: 'absent', readOnlyPaths: ['./beside.mjs', './gone'] })
    await expect(missing).rejects.toMatchObject({
      facts: {
        issues: [
          { path: 'tools.yaml:3:1 executable', message: 'tool one: there is no executable absent' },
          { path: 'tools.yaml:3:1 readOnlyPaths.1', message: 'tool one: there is no ./gone' },
        ],
      },
    })
  })

  test('a read-only path that is not there is refused at start, not at the first run', async () => {
    await expect(resolve({ readOnlyPaths: ['./gone'] })).rejects.toMatchObject({ code: 'setup_failed' })
  })
})
