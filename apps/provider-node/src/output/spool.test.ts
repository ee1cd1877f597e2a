import { createHash } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { mkdtemp, readdir, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { removeDir } from '../testing/node.ts'
import { openSpools, type Piece, type Spool, type Spools, START } from './spool.ts'

let dir = ''
let spools: Spools
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-spool-'))
  spools = await openSpools(dir, new Set())
})
afterEach(() => removeDir(dir))

const NEVER = new AbortController().signal

async function readAll(spool: Spool): Promise<Piece[]> {
  const all: Piece[] = []
  let cursor = START
  while (await spool.hasMore(cursor, NEVER)) {
    const { pieces, next } = await spool.readBlock(cursor)
    if (pieces.length === 0) break
    all.push(...pieces.map((piece) => ({ ...piece, bytes: Buffer.from(piece.bytes) })))
    cursor = next
  }
  return all
}

const out = (bytes: Uint8Array) => ({ stream: 'stdout' as const, bytes })

describe('a spool', () => {
  test('leaves nothing on the signal of whoever waits for more of it', async () => {
    const connection = new AbortController()
    for (const id of ['exe_a', 'exe_b', 'exe_c'] as const) {
      const spool = spools.create(id)
      const waiting = spool.hasMore(START, connection.signal)
      await spool.write(out(new Uint8Array([1])))
      expect(await waiting).toBe(true)
      await spool.end()
    }
    const left = spools.create('exe_d').hasMore(START, connection.signal)
    expect(getEventListeners(connection.signal, 'abort')).toHaveLength(1)
    connection.abort()
    expect(await left).toBe(false)
  })

  test('gives back what was written, in order, with offsets and hash, however it was cut', async () => {
    let run = 0
    const chunk = fc.record({
      stream: fc.constantFrom('stdout' as const, 'stderr' as const),
      bytes: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.nat({ max: 200_000 }).map((length) => new Uint8Array(length).fill(length % 251)),
      ),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 8 }), async (chunks) => {
        run += 1
        const spool = spools.create(`exe_${run}`)
        const reading = readAll(spool)
        for (const each of chunks) await spool.write(each)
        const whole = Buffer.concat(chunks.map(({ bytes }) => bytes))
        expect(await spool.end()).toEqual({
          sha256: createHash('sha256').update(whole).digest('hex'),
          bytes: whole.length,
        })
        const pieces = await reading
        expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).equals(whole)).toBe(true)
        let offset = 0
        for (const piece of pieces) {
          expect(piece.offset).toBe(offset)
          offset += piece.bytes.length
        }
        expect((await readAll(spool)).length).toBe(pieces.length)
      }),
      { numRuns: 40 },
    )
  })

  test('a reader waits for what is to come, and stops when it is called off', async () => {
    const spool = spools.create('exe_1')
    const off = new AbortController()
    const waiting = spool.hasMore(START, off.signal)
    off.abort()
    expect(await waiting).toBe(false)
    const second = spool.hasMore(START, NEVER)
    await spool.write(out(Buffer.from('x')))
    expect(await second).toBe(true)
  })

  test('a run that prints nothing needs no file', async () => {
    await spools.create('exe_1').end()
    expect(await readdir(dir)).toEqual([])
  })

  test('output of an earlier process is read up to where a crash cut it off', async () => {
    const spool = spools.create('exe_1')
    await spool.write(out(Buffer.from('whole')))
    await spool.write(out(Buffer.from('cut off')))
    await spool.end()
    const path = join(dir, 'exe_1')
    await truncate(path, (await stat(path)).size - 3)
    const again = await openSpools(dir, new Set(['exe_1']))
    expect((await readAll(await again.reopen('exe_1'))).map(({ bytes }) => String(bytes))).toEqual(['whole'])
    expect(await readAll(await again.reopen('exe_2'))).toEqual([])
  })

  test('left-overs of runs that nobody waits for are removed at start, and none is readable by others', async () => {
    for (const id of ['exe_1', 'exe_2']) await spools.create(id).write(out(Buffer.from('x')))
    expect((await stat(join(dir, 'exe_1'))).mode & 0o777).toBe(0o600)
    await openSpools(dir, new Set(['exe_2']))
    expect(await readdir(dir)).toEqual(['exe_2'])
  })
})
