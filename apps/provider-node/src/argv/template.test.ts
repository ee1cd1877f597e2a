import type { ToolManifest } from '@orien/protocol'
import { describe, expect, test } from 'vitest'
import { buildArgv, fileArguments } from './build.ts'

const tool = {
  arguments: {
    properties: {
      width: { type: 'integer', minimum: 1 },
      height: { type: 'integer', minimum: 1 },
      input: { type: 'file' },
      frames: { type: 'array', items: { type: 'file' }, maxItems: 9 },
      output: { type: 'file', direction: 'output', default: 'out.png' },
    },
    required: [],
  },
  argv: [
    { kind: 'argument', name: 'input', before: '-i' },
    { kind: 'argument', name: 'frames', before: '-f' },
    { kind: 'template', value: 'scale={width}:{height}', before: '-vf' },
    { kind: 'argument', name: 'output' },
  ],
} satisfies Pick<ToolManifest, 'arguments' | 'argv'>

describe('an element made of several values', () => {
  test('appears with its option when all of them are given, and not at all otherwise', () => {
    expect(buildArgv(tool, { width: 640, height: 360 })).toEqual({ ok: true, argv: ['-vf', 'scale=640:360'] })
    expect(buildArgv(tool, { width: 640 })).toEqual({ ok: true, argv: [] })
  })
})

describe('a file', () => {
  test('is named by its place in the workspace, so that no program takes it for an option or an address', () => {
    const args = { input: 'a.mp4', frames: ['1.png', 'http:x'], output: 'o.png' }
    expect(buildArgv(tool, args)).toEqual({
      ok: true,
      argv: [
        '-i',
        '/workspace/a.mp4',
        '-f',
        '/workspace/1.png',
        '-f',
        '/workspace/http:x',
        '/workspace/o.png',
      ],
    })
  })

  test('that is read has to be there; one that is written does not', () => {
    expect(fileArguments(tool, { input: 'a', frames: ['b', 'a'], output: 'o' })).toEqual(['a', 'b'])
  })
})
