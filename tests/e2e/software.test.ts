import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { micros } from '@orien/protocol'
import { composeToolsFile, proposeTools } from '@orien/provider-node'
import type { Session } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { ensureSoftware } from '../harness/software.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

/** One second of silence: RIFF WAVE, 8 kHz, 8 bit, mono. */
function silence(): Uint8Array<ArrayBuffer> {
  const samples = 8_000
  const wav = Buffer.alloc(44 + samples, 128)
  wav.write('RIFF', 0).toString()
  wav.writeUInt32LE(36 + samples, 4)
  wav.write('WAVEfmt ', 8)
  wav.writeUInt32LE(16, 16)
  wav.writeUInt16LE(1, 20)
  wav.writeUInt16LE(1, 22)
  wav.writeUInt32LE(8_000, 24)
  wav.writeUInt32LE(8_000, 28)
  wav.writeUInt16LE(1, 32)
  wav.writeUInt16LE(8, 34)
  wav.write('data', 36)
  wav.writeUInt32LE(samples, 40)
  return new Uint8Array(wav)
}

const scene = `#version 3.7;
#include "colors.inc"
global_settings { assumed_gamma 1 }
camera { location <0, 2, -5> look_at 0 }
light_source { <10, 10, -10> White }
sphere { 0, 1 pigment { Red } }
`

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

/** What a renter would do with each software, from an upload to a download. */
const jobs: Record<
  string,
  { packages: string[]; program: string; job: (session: Session) => Promise<void> }
> = {
  ffmpeg: {
    packages: ['ffmpeg'],
    program: 'ffmpeg',
    job: async (session) => {
      await session.upload('in.wav', silence())
      const converted = await session.run({
        tool: 'ffmpeg_convert',
        args: { input: 'in.wav', output: 'out.ogg', duration: '00:00:00.5' },
      })
      expect(converted).toMatchObject({ status: 'completed', exitCode: 0 })
      const probed = await session.run({ tool: 'ffmpeg_probe', args: { input: 'out.ogg' } })
      expect(JSON.parse(probed.stdout ?? '')).toMatchObject({
        format: { format_name: 'ogg', duration: expect.stringMatching(/^0\.5/) },
      })
    },
  },
  povray: {
    packages: ['povray', 'povray-includes'],
    program: 'povray',
    job: async (session) => {
      await session.upload('ball.pov', scene)
      const args = { scene: 'ball.pov', width: 80, height: 60, antialias: 0.3, output: 'ball.png' }
      expect(await session.run({ tool: 'povray_render', args })).toMatchObject({ status: 'completed' })
      expect(text(await session.download('ball.png')).slice(1, 4)).toBe('PNG')
    },
  },
  imagemagick6: {
    packages: ['imagemagick-6.q16'],
    program: 'convert-im6.q16',
    job: async (session) => {
      await session.upload('in.bmp', bitmap())
      const converted = await session.run({
        tool: 'image_convert',
        args: { input: 'in.bmp', output: 'out.png', resize: '16x16', colorspace: 'Gray' },
      })
      expect(converted).toMatchObject({ status: 'completed', exitCode: 0 })
      const told = await session.run({ tool: 'image_info', args: { input: 'out.png' } })
      expect(told.stdout).toContain('Geometry: 16x16')
    },
  },
}

/** Two by two pixels, 24 bit. */
function bitmap(): Uint8Array<ArrayBuffer> {
  const bmp = Buffer.alloc(54 + 16, 0x7f)
  bmp.fill(0, 0, 54)
  bmp.write('BM', 0)
  bmp.writeUInt32LE(bmp.length, 2)
  bmp.writeUInt32LE(54, 10)
  bmp.writeUInt32LE(40, 14)
  bmp.writeInt32LE(2, 18)
  bmp.writeInt32LE(2, 22)
  bmp.writeUInt16LE(1, 26)
  bmp.writeUInt16LE(24, 28)
  return new Uint8Array(bmp)
}

const readiness = Object.entries(jobs).map(([software, { program, packages }]) => {
  return { software, missing: ensureSoftware(program, packages) }
})
const present = readiness.filter(({ missing }) => missing === null).map(({ software }) => software)
const absent = readiness.flatMap(({ software, missing }) => (missing ? [`${software}: ${missing}`] : []))

let stack: Stack
let node: RealNode
let agent: TestAgent
const dir = mkdtempSync(join(tmpdir(), 'orien-software-'))

beforeAll(async () => {
  const entries = (await proposeTools()).flatMap((proposal) =>
    'entries' in proposal ? [proposal.entries] : [],
  )
  const toolsFile = join(dir, 'orien.tools.yaml')
  writeFileSync(toolsFile, composeToolsFile(['execute_script'], entries, './orien.tools.schema.json'))
  stack = await startStack()
  node = await startRealNode(stack, { toolsFile })
  agent = await createAgent(stack, 10_000_000_000n)
}, 120_000)
afterAll(async () => {
  await node.stop()
  await stack.stop()
  rmSync(dir, { recursive: true, force: true })
})

test.each(present)(
  '%s: the manifest that is proposed for Debian’s package does real work',
  async (software) => {
    const session = await agent.orien.openSession({
      providerId: node.providerId,
      budgetMicros: micros(500_000_000n),
    })
    await jobs[software]?.job(session)
  },
)

test('what of the known software did not run here is said', () => {
  for (const line of absent) process.stderr.write(`NOT RUN ${line}\n`)
  expect(present.length + absent.length).toBe(Object.keys(jobs).length)
})
