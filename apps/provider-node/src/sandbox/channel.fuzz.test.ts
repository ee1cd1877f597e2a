import { OrienError } from '@orien/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeKill, encodeRequest, type Frame, type HelperRequest } from './channel.ts'
import { FrameQueue } from './frameQueue.ts'

const REQUEST: HelperRequest = {
  limitNs: 1n,
  deadlineNs: 2n,
  outputBytes: 3,
  processes: 4,
  openFiles: 5,
  fileBytes: 6,
  memoryBytes: 7,
  hasInput: true,
  argv: ['/bin/tool'],
  env: {},
}

function message(kind: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(kind, 0)
  header.writeUInt32LE(payload.length, 4)
  return Buffer.concat([header, payload])
}

/** Every piece is written over as soon as it was taken, as the socket's reader does. */
async function collect(pieces: Uint8Array[]): Promise<Frame[]> {
  const left = [...pieces]
  const feed = () => {
    for (let more = true; more; ) {
      const piece = left.shift()
      if (!piece) return queue.end()
      const read = Buffer.from(piece)
      more = queue.take(read)
      read.fill(0xff)
    }
  }
  const queue = new FrameQueue({ goOn: feed, giveUp: () => void left.splice(0) })
  feed()
  const frames: Frame[] = []
  for (let frame = await queue.next(); frame; frame = await queue.next()) frames.push(frame)
  return frames
}

const output = fc.record({
  kind: fc.constantFrom(18, 19),
  payload: fc.uint8Array({ minLength: 1, maxLength: 300 }),
})

describe('frames of the helper', () => {
  it('are the same however the stream was cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(output, { maxLength: 8 }),
        fc.array(fc.nat(200), { maxLength: 40 }),
        async (frames, cuts) => {
          const bytes = Buffer.concat(frames.map(({ kind, payload }) => message(kind, payload)))
          const chunks: Buffer[] = []
          let at = 0
          for (const cut of cuts) {
            chunks.push(bytes.subarray(at, at + cut))
            at += cut
          }
          chunks.push(bytes.subarray(at))
          const seen = await collect(chunks)
          expect(seen).toEqual(
            frames.map(({ kind, payload }) => ({
              kind: 'output',
              stream: kind === 18 ? 'stdout' : 'stderr',
              bytes: Buffer.from(payload),
            })),
          )
        },
      ),
    )
  })

  it('that nobody asks for hold their sender back, and let it go on once they were taken', async () => {
    const piece = message(18, Buffer.alloc(30_000))
    let asked = 0
    const queue = new FrameQueue({ goOn: () => void asked++, giveUp: () => {} })
    expect([queue.take(piece), queue.take(piece), queue.take(piece)]).toEqual([true, true, false])
    await queue.next()
    await queue.next()
    await queue.next()
    queue.end()
    expect([asked, await queue.next()]).toEqual([1, undefined])
  })

  it('that had come before the connection broke are told before it is', async () => {
    const queue = new FrameQueue({ goOn: () => {}, giveUp: () => {} })
    queue.take(message(18, Buffer.from('last words')))
    queue.end(new OrienError('sandbox_unavailable', 'reset'))
    expect(await queue.next()).toMatchObject({ bytes: Buffer.from('last words') })
    await expect(queue.next()).rejects.toThrow('reset')
  })

  it('that are cut off at the end are not delivered in part', async () => {
    const whole = message(18, Buffer.from('hello'))
    expect(await collect([whole.subarray(0, 12)])).toEqual([])
  })

  it('of an unknown kind or an impossible length are refused', async () => {
    await expect(collect([message(99, new Uint8Array(0))])).rejects.toThrow('frames of its table')
    const huge = Buffer.alloc(8)
    huge.writeUInt32LE(18, 0)
    huge.writeUInt32LE(0xffff_ffff, 4)
    await expect(collect([huge])).rejects.toThrow('bounded')
  })
})

describe('a request', () => {
  it('carries every argument and variable as it is', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((one) => !one.includes('\0') && one.isWellFormed())
    fc.assert(
      fc.property(
        fc.array(text, { minLength: 1, maxLength: 20 }),
        fc.dictionary(fc.constantFrom('A', 'B_C'), text),
        (argv, env) => {
          const bytes = Buffer.from(encodeRequest({ ...REQUEST, argv, env }))
          const strings = bytes
            .subarray(8 + 80)
            .toString('utf8')
            .split('\0')
          expect(strings).toEqual([
            ...argv,
            ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
            '',
          ])
          expect(bytes.readUInt32LE(4)).toBe(bytes.length - 8)
          expect(bytes.readBigUInt64LE(8 + 64)).toBe(BigInt(argv.length))
        },
      ),
    )
  })

  it.each([
    ['no command', []],
    ['NUL', ['a\0']],
    ['a lone surrogate', ['\udc00']],
    ['an element that the kernel refuses', ['x'.repeat(131_072)]],
    ['more than fits', Array.from({ length: 20 }, () => 'x'.repeat(131_071))],
  ])('with %s is refused', (_, argv) => {
    expect(() => encodeRequest({ ...REQUEST, argv })).toThrow(OrienError)
  })

  it('to stop says why', () => {
    expect(Buffer.from(encodeKill('deadline')).readBigUInt64LE(8)).toBe(2n)
    expect(Buffer.from(encodeKill('cancelled')).readBigUInt64LE(8)).toBe(3n)
  })
})
