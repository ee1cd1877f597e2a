import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readIncoming, readWanted } from './headers.ts'

const sha256 = 'ab'.repeat(32)

describe('what an upload says of itself', () => {
  test('is its length, or its place in a file whose hash is named', () => {
    expect(readIncoming({ 'content-length': '5' })).toEqual({
      bytes: 5,
      fromByte: 0,
      toByte: 5,
      sha256: undefined,
    })
    expect(readIncoming({ 'content-range': 'bytes 5-9/20', 'x-content-sha256': sha256 })).toEqual({
      bytes: 20,
      fromByte: 5,
      toByte: 10,
      sha256,
    })
  })

  test.each([
    [{}, 'length_required'],
    [{ 'content-length': '1073741825' }, 'payload_too_large'],
    [{ 'content-length': '1', 'x-content-sha256': 'AB'.repeat(32) }, 'validation_failed'],
    [{ 'content-range': 'bytes 0-4/5' }, 'validation_failed'],
    [{ 'content-range': 'bytes 5-4/9', 'x-content-sha256': sha256 }, 'validation_failed'],
    [{ 'content-range': 'bytes 0-9/9', 'x-content-sha256': sha256 }, 'validation_failed'],
    [{ 'content-range': 'bytes 0-4/*', 'x-content-sha256': sha256 }, 'validation_failed'],
    [{ 'content-range': 'items 0-4/9', 'x-content-sha256': sha256 }, 'validation_failed'],
    [
      { 'content-range': 'bytes 0-4/9', 'content-length': '4', 'x-content-sha256': sha256 },
      'validation_failed',
    ],
  ])('is refused as %j', (headers, code) => {
    expect(() => readIncoming(headers)).toThrow(expect.objectContaining({ code }))
  })

  test('never places a byte outside of its file, whatever it says', () => {
    const part = fc.oneof(fc.nat(), fc.constant(2 ** 53), fc.string())
    fc.assert(
      fc.property(part, part, part, (first, last, size) => {
        try {
          const headers = { 'content-range': `bytes ${first}-${last}/${size}`, 'x-content-sha256': sha256 }
          const { fromByte, toByte, bytes } = readIncoming(headers)
          expect(fromByte >= 0 && fromByte < toByte && toByte <= bytes).toBe(true)
        } catch (error) {
          expect(error).toMatchObject({ name: 'OrienError' })
        }
      }),
    )
  })
})

describe('what a reader wants', () => {
  test('is the rest of the file that it has the beginning of', () => {
    expect(readWanted({ range: 'bytes=7-', 'if-range': `"${sha256}"` })).toEqual({
      fromByte: 7,
      ifSha256: sha256,
    })
  })
  test('is never a rest of anything when its tag is not one of ours', () => {
    const { ifSha256 } = readWanted({ range: 'bytes=7-', 'if-range': 'W/"weak"' })
    expect(ifSha256).toBe('0'.repeat(64))
  })
  test.each(['bytes=0-4', 'bytes=-5', 'bytes=1-2,4-', 'lines=3-', 'bytes=x-'])(
    'is the whole file when the range is %s',
    (range) => expect(readWanted({ range })).toEqual({ fromByte: 0, ifSha256: undefined }),
  )
})
