import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toolsFileJsonSchema } from '@orien/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadTools } from './loadTools.ts'
import { composeToolsFile, proposeTools } from './proposeTools.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-propose-'))
  await symlink('/bin/true', join(dir, 'python3'))
})
afterAll(() => rm(dir, { recursive: true }))

const machine = { searchPath: '', known: { node: process.execPath } }

describe('looking for software', () => {
  test('knows Blender, ffmpeg, ImageMagick, POV-Ray, pandoc, LaTeX, Python, Node and Git', async () => {
    const known = (await proposeTools(dir)).map(({ software }) => software)
    expect(known).toEqual([
      ...['blender', 'ffmpeg', 'git', 'imagemagick6', 'imagemagick7'],
      ...['latex', 'node', 'pandoc', 'povray', 'python'],
    ])
  })

  test('proposes what is there, and says what is missing', async () => {
    const proposals = await proposeTools(dir)
    expect(proposals.find(({ software }) => software === 'blender')).toEqual({
      software: 'blender',
      missing: 'there is no executable blender',
    })
    expect(proposals.find(({ software }) => software === 'python')).toMatchObject({
      tools: ['python_script'],
    })
  })

  test('writes down where a program was found, so that another PATH runs no other program', async () => {
    const python = (await proposeTools(dir)).find(({ software }) => software === 'python')
    const entries = python && 'entries' in python ? python.entries : ''
    const path = join(dir, 'composed.yaml')
    await writeFile(path, composeToolsFile(['render_scene'], [entries], './schema.json'))
    const tools = await loadTools(path, machine)
    expect([...tools.keys()]).toEqual(['render_scene', 'python_script'])
    expect(tools.get('python_script')?.manifest.executable).toBe(join(dir, 'python3'))
  })
})

describe('tools that come with the node', () => {
  test('are offered by name beside the owner’s own, and an unknown name is refused with those there are', async () => {
    const path = join(dir, 'builtin.yaml')
    await writeFile(path, 'builtin: [run_build, blender_render]\n')
    await expect(loadTools(path, machine)).rejects.toMatchObject({
      code: 'validation_failed',
      message: expect.stringMatching(
        /^builtin\.yaml:1:22 builtin\[1\]: no tool blender_render .*execute_script, run_build, render_scene/,
      ),
    })
  })

  test.each(['builtin: []\n', 'tools: []\n', '{}\n'])('%j offers nothing and is refused', async (text) => {
    const path = join(dir, 'empty.yaml')
    await writeFile(path, text)
    await expect(loadTools(path, machine)).rejects.toMatchObject({ code: 'validation_failed' })
  })
})

test('the published JSON Schema is that of the code', async () => {
  const published = new URL('../../tools/orien.tools.schema.json', import.meta.url)
  expect(JSON.parse(await readFile(published, 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(toolsFileJsonSchema())),
  )
})
