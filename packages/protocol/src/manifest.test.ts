import { describe, expect, it } from 'vitest'
import { LIMITS } from './limits.ts'
import { argvPart, manifestHash, publish, publishedTool, toolId, toolManifest } from './manifest.ts'
import { MAX_DURATION_MS } from './time.ts'

const limits = {
  timeMs: 60_000,
  memoryBytes: 512 * 1_048_576,
  processes: 64,
  diskBytes: 256 * 1_048_576,
  outputBytes: 1_048_576,
}

const manifest = toolManifest.parse({
  id: 'render_scene',
  description: 'Renders a scene',
  arguments: { properties: { width: { type: 'integer' } }, required: ['width'] },
  limits,
  executable: 'node',
  argv: [
    { kind: 'literal', value: 'render.js' },
    { kind: 'option', name: 'width', prefix: '--width=' },
  ],
})

describe('a published tool', () => {
  it('shows what an agent needs and nothing of the machine', () => {
    const tool = publish({ ...manifest, executable: '/opt/secret/bin', env: { TOKEN: 'secret' } })
    expect(JSON.stringify(tool)).not.toContain('secret')
    expect(Object.keys(tool).sort()).toEqual([
      'arguments',
      'description',
      'id',
      'limits',
      'network',
      'outputs',
    ])
    expect(publishedTool.parse(tool)).toEqual(tool)
  })

  it('has a hash that does not depend on the order of its members', () => {
    const tool = publish(manifest)
    const turned = Object.fromEntries(Object.entries(tool).reverse()) as typeof tool
    expect(manifestHash(turned)).toBe(manifestHash(tool))
    expect(manifestHash(tool)).toMatch(/^[0-9a-f]{64}$/)
  })

  it('has the same hash after a way over the wire', () => {
    const tool = publish(manifest)
    expect(manifestHash(publishedTool.parse(JSON.parse(JSON.stringify(tool))))).toBe(manifestHash(tool))
  })

  it.each([
    ['its description', { description: 'Renders another scene' }],
    ['its time', { limits: { ...limits, timeMs: 60_001 } }],
    ['its arguments', { arguments: { properties: {}, required: [] } }],
    ['its outputs', { outputs: ['*.png'] }],
  ])('has another hash when %s changes', (_, change) => {
    const tool = publish(manifest)
    expect(manifestHash({ ...tool, ...change })).not.toBe(manifestHash(tool))
  })

  it('has no network, whatever its manifest asks for', () => {
    expect(publishedTool.safeParse({ ...publish(manifest), network: 'host' }).success).toBe(false)
  })
})

describe('a tool’s name', () => {
  it.each(['a', 'render_scene', 'x264', `a${'b'.repeat(63)}`])('may be %s', (name) => {
    expect(toolId.safeParse(name).success).toBe(true)
  })

  it.each(['', 'A', '1a', '_a', 'a-b', 'a b', 'a/b', '../a', 'a\n', `a${'b'.repeat(64)}`])(
    'may not be %j',
    (name) => {
      expect(toolId.safeParse(name).success).toBe(false)
    },
  )
})

describe('a tool’s limits', () => {
  const accepts = (change: object) =>
    toolManifest.safeParse({ ...manifest, limits: { ...limits, ...change } }).success

  it('are bounds: none may be missing, zero or endless', () => {
    expect(accepts({})).toBe(true)
    expect(accepts({ timeMs: LIMITS.minimumGrantMs })).toBe(true)
    expect(accepts({ timeMs: LIMITS.minimumGrantMs - 1 })).toBe(false)
    expect(accepts({ timeMs: MAX_DURATION_MS + 1 })).toBe(false)
    for (const name of Object.keys(limits)) {
      expect(accepts({ [name]: undefined })).toBe(false)
      expect(accepts({ [name]: 0 })).toBe(false)
      expect(accepts({ [name]: Number.POSITIVE_INFINITY })).toBe(false)
      expect(accepts({ [name]: 1_000_000.5 })).toBe(false)
    }
  })
})

describe('a command line', () => {
  it.each(['--width=', '-w=', '--with-dash=', 'Width=', '+W'])('may prefix an option with %s', (prefix) => {
    expect(argvPart.safeParse({ kind: 'option', name: 'width', prefix }).success).toBe(true)
  })

  it.each(['--width', '-w', '+Width', '--=', '-- x=', '--a=b=', '=', ''])(
    'may not prefix an option with %j, from which a value could break out',
    (prefix) => {
      expect(argvPart.safeParse({ kind: 'option', name: 'width', prefix }).success).toBe(false)
    },
  )

  it('is made of known parts alone', () => {
    expect(argvPart.safeParse({ kind: 'shell', value: 'ls' }).success).toBe(false)
    expect(argvPart.safeParse({ kind: 'literal', value: 'a', more: 1 }).success).toBe(false)
  })

  it('gets an environment of plain upper-case names', () => {
    expect(toolManifest.safeParse({ ...manifest, env: { LANG: 'C' } }).success).toBe(true)
    expect(toolManifest.safeParse({ ...manifest, env: { 'A=B': 'C' } }).success).toBe(false)
    expect(toolManifest.safeParse({ ...manifest, env: { lower: 'C' } }).success).toBe(false)
  })
})
