import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { checkArguments } from '@orien/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildArgv } from '../argv/build.ts'
import { loadTools } from '../manifest/loadTools.ts'
import type { ToolSet } from '../manifest/tools.ts'
import { openWorkspaces, type SessionWorkspaces } from '../workspace/workspaces.ts'
import { createBubblewrapDriver } from './bubblewrap.ts'
import type { Driver, RunFacts } from './driver.ts'
import { SYSTEM_PATH } from './names.ts'

const MANIFEST = new URL('../../tools/orien.tools.yaml', import.meta.url).pathname
const SESSION = 'ses_tools'

let root: string
let driver: Driver
let workspaces: SessionWorkspaces
let tools: ToolSet
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'orien-tools-'))
  driver = createBubblewrapDriver({ stateDir: join(root, 'state') })
  workspaces = await openWorkspaces({
    rootDir: join(root, 'workspaces'),
    sizeBytes: 1 << 26,
    maxFiles: 1_000,
  })
  tools = await loadTools(MANIFEST, { searchPath: SYSTEM_PATH, known: { node: process.execPath } })
})
afterAll(async () => {
  await driver.close()
  await workspaces.close()
  await rm(root, { recursive: true })
})

/** As the node does it: check, build the command line, run. */
async function call(id: string, given: Record<string, unknown>): Promise<RunFacts & { text: string }> {
  const tool = tools.get(id)
  if (!tool) throw new Error(`no tool ${id}`)
  const checked = checkArguments(tool.manifest.arguments, given)
  if (!checked.ok) throw new Error(JSON.stringify(checked.issues))
  const built = buildArgv(tool.manifest, checked.args)
  if (!built.ok) throw new Error(JSON.stringify(built.issues))
  const stdin = tool.manifest.stdin === undefined ? undefined : checked.args[tool.manifest.stdin]
  const parts: Uint8Array[] = []
  const run = driver.run(
    {
      executionId: 'exe_tools',
      workspaceDir: await workspaces.open(SESSION),
      argv: [tool.executable, ...built.argv],
      env: { HOME: '/workspace', PATH: '/usr/bin' },
      ...(typeof stdin === 'string' ? { stdin: Buffer.from(stdin) } : {}),
      limits: tool.manifest.limits,
      deadlineMs: 60_000,
      readOnlyPaths: tool.readOnlyPaths,
    },
    ({ bytes }) => void parts.push(bytes),
  )
  return { ...(await run.finished), text: Buffer.concat(parts).toString() }
}

async function put(name: string, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  const upload = await workspaces.write(SESSION, name, bytes.length)
  await upload.write(bytes)
  await upload.commit()
}

async function get(name: string): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of (await workspaces.read(SESSION, name)).stream) parts.push(part)
  return Buffer.concat(parts)
}

describe('execute_script', () => {
  const script = (language: string, code: string, more = {}) =>
    call('execute_script', { language, code, ...more })

  it('runs JavaScript with its arguments, its standard input and the workspace', async () => {
    const code = `const fs = require('fs')
      fs.writeFileSync('made.txt', 'by script')
      console.log(process.argv.slice(2), fs.readFileSync(0, 'utf8'), require.main === module, process.cwd())`
    const facts = await script('javascript', code, { stdin: 'on stdin', args: ['--flag', '$(id)', ''] })
    expect(facts.text).toBe(`[ '--flag', '$(id)', '' ] on stdin true /workspace\n`)
    expect(facts.stop).toBe('exit')
    expect((await get('made.txt')).toString()).toBe('by script')
  })

  it('runs a module with top-level await, and streams standard input', async () => {
    const code = `import { text } from 'node:stream/consumers'
      console.log(await text(process.stdin))`
    expect((await script('javascript', code, { stdin: 'streamed' })).text).toBe('streamed\n')
  })

  it('runs a quarter of a megabyte of code', async () => {
    const code = `${' '.repeat(262_144 - 17)}console.log('end')`.slice(-262_144)
    expect((await script('javascript', code)).text).toBe('end\n')
  })

  it('tells the status of a program that fails', async () => {
    const facts = await script('javascript', `console.error('bad'); process.exitCode = 9`)
    expect(facts).toMatchObject({ stop: 'exit', exitCode: 9, text: 'bad\n' })
    expect((await script('javascript', 'syntax error here')).exitCode).toBe(1)
  })

  it('runs Python with its arguments, its standard input and the workspace', async () => {
    const code = `import sys, os
open('python.txt', 'w').write('by python')
print(sys.argv[1:], sys.stdin.read(), os.getcwd())
sys.exit(3)`
    const facts = await script('python', code, { stdin: 'on stdin', args: ['a b'] })
    expect(facts).toMatchObject({ exitCode: 3, text: `['a b'] on stdin /workspace\n` })
    expect((await get('python.txt')).toString()).toBe('by python')
  })
})

describe('run_build', () => {
  it('bundles a TypeScript entry with what it imports into dist/', async () => {
    await put('src/index.ts', `import { area } from './area.ts'\nexport const answer: number = area(6, 7)`)
    await put('src/area.ts', 'export const area = (a: number, b: number): number => a * b')
    const facts = await call('run_build', { entry: 'src/index.ts', minify: true })
    expect(facts).toMatchObject({ stop: 'exit', exitCode: 0 })
    const built = (await get('dist/index.js')).toString()
    const module = await import(`data:text/javascript,${encodeURIComponent(built)}`)
    expect(module.answer).toBe(42)
    expect((await workspaces.list(SESSION)).map(({ name }) => name)).toContain('dist/index.js.map')
  })

  it('answers a mistake in the source with its place and a status', async () => {
    await put('src/broken.ts', 'const = 1')
    const facts = await call('run_build', { entry: 'src/broken.ts' })
    expect(facts.exitCode).toBe(1)
    expect(facts.text).toContain('src/broken.ts:1:6')
  })
})

describe('render_scene', () => {
  const small = { width: 96, height: 64, samples: 2 }

  /** Width and height from the header, and the number of bytes that the picture unpacks to. */
  function readPng(png: Buffer) {
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    const parts: Buffer[] = []
    for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
      if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
        parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)))
    return {
      width: png.readUInt32BE(16),
      height: png.readUInt32BE(20),
      bytes: inflateSync(Buffer.concat(parts)).length,
    }
  }

  it('renders the built-in scene, tells how far it is, and makes the same picture each time', async () => {
    const facts = await call('render_scene', small)
    expect(facts).toMatchObject({ stop: 'exit', exitCode: 0 })
    expect(facts.text).toMatch(/96 × 64, 2 samples, 13 spheres[\s\S]*50 %[\s\S]*100 %\nwrote render\.png/)
    const first = await get('render.png')
    expect(readPng(first)).toEqual({ width: 96, height: 64, bytes: 64 * (96 * 3 + 1) })
    await call('render_scene', { ...small, output: 'pictures/again.png' })
    expect((await get('pictures/again.png')).equals(first)).toBe(true)
  })

  it('renders a scene of the workspace', async () => {
    const scene = {
      camera: { from: [0, 1, 4], to: [0, 0, 0], fovDegrees: 40 },
      sky: { top: [0.2, 0.4, 0.9], bottom: [1, 1, 1] },
      spheres: [{ center: [0, 0, 0], radius: 1, material: 'diffuse', color: [1, 0, 0] }],
    }
    await put('ball.json', JSON.stringify(scene))
    expect(await call('render_scene', { ...small, scene: 'ball.json', output: 'ball.png' })).toMatchObject({
      exitCode: 0,
    })
    expect(readPng(await get('ball.png')).width).toBe(96)
  })

  it.each([
    ['that is not JSON', '{'],
    [
      'with an unknown material',
      '{"camera":{"from":[0,1,4],"to":[0,0,0],"fovDegrees":40},"sky":{"top":[1,1,1],"bottom":[1,1,1]},"spheres":[{"center":[0,0,0],"radius":1,"material":"cheese","color":[1,1,1]}]}',
    ],
    [
      'with a number that is none',
      '{"camera":{"from":[0,1,"4"],"to":[0,0,0],"fovDegrees":40},"sky":{"top":[1,1,1],"bottom":[1,1,1]},"spheres":[]}',
    ],
  ])('answers a scene %s with what is wrong and how it should look', async (_, text) => {
    await put('wrong.json', text)
    const facts = await call('render_scene', { ...small, scene: 'wrong.json' })
    expect(facts.exitCode).toBe(2)
    expect(facts.text).toContain('A scene is JSON like')
  })

  it('writes nowhere but into the workspace', async () => {
    expect((await call('render_scene', { ...small, output: '../tmp/out.png' })).exitCode).toBe(2)
  })

  it('is stopped by a deadline in the middle of its threads', async () => {
    const tool = tools.get('render_scene')
    const run = driver.run(
      {
        executionId: 'exe_deadline',
        workspaceDir: await workspaces.open(SESSION),
        argv: [
          tool?.executable ?? '',
          new URL('../../tools/render-scene/main.mjs', import.meta.url).pathname,
          '--samples=256',
        ],
        env: {},
        limits: { timeMs: 60_000, memoryBytes: 1 << 29, processes: 64, outputBytes: 100_000 },
        deadlineMs: 400,
        readOnlyPaths: tool?.readOnlyPaths ?? [],
      },
      () => {},
    )
    expect(await run.finished).toMatchObject({ stop: 'deadline', effectiveMicros: 400_000 })
  })
})

describe('a bounded workspace', () => {
  it('shows nothing of its host path inside', async () => {
    const code = `process.stdout.write(require('fs').readFileSync('/proc/self/mountinfo'))`
    const { text } = await call('execute_script', { language: 'javascript', code })
    expect(text).toContain(' /workspace ')
    expect(text).not.toContain(root)
  })

  it.each([
    [
      'bytes',
      `const fd = require('fs').openSync('big', 'w'); for (;;) require('fs').writeSync(fd, Buffer.alloc(1 << 20))`,
    ],
    ['files', `for (let i = 0; ; i++) require('fs').writeFileSync('f' + i, '')`],
  ])('that runs out of %s ends the tool with the disk limit', async (_, code) => {
    const facts = await call('execute_script', { language: 'javascript', code })
    expect(facts.stop).toBe('disk_limit')
    await workspaces.destroy(SESSION)
  })
})
