import { micros, sha256Hex } from '@orien/protocol'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { type Lies, startCoordinatorStandIn } from '../testing/coordinatorStandIn.ts'
import { orienFor } from '../testing/orienFor.ts'
import { hashOf, makeProvider } from '../testing/providerStandIn.ts'
import { filePath } from './upload.ts'

const provider = await makeProvider('files')
const request = { providerId: provider.id, budgetMicros: micros(1_000_000n) }

async function openAt(lies: Lies = {}, totalMs = 10_000) {
  const standIn = await startCoordinatorStandIn(provider, lies)
  const timeouts = { connectMs: 5_000, idleMs: 5_000, totalMs }
  return { standIn, session: await orienFor(standIn, { timeouts }).openSession(request) }
}

const streamOf = (...pieces: string[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece))
      controller.close()
    },
  })

describe('a file that is sent', () => {
  it.each([
    ['text', 'naïve ✓'],
    ['bytes', new TextEncoder().encode('naïve ✓')],
    ['a part of a larger buffer', new TextEncoder().encode('xxnaïve ✓xx').subarray(2, -2)],
    ['a blob', new Blob(['naïve ', '✓'])],
    ['a stream', streamOf('naï', 've ✓')],
  ])('as %s arrives as it was, with its hash confirmed', async (_, content) => {
    const { standIn, session } = await openAt()
    await using __ = standIn
    const sent = await session.upload('in/scene.txt', content)
    expect(sent).toEqual({ name: 'in/scene.txt', bytes: 10, sha256: hashOf('naïve ✓') })
    expect(standIn.session().files.get('in/scene.txt')?.toString()).toBe('naïve ✓')
    const put = standIn.requests.find(({ method }) => method === 'PUT')
    expect(put?.headers).toMatchObject({ 'x-content-sha256': hashOf('naïve ✓'), 'content-length': '10' })
  })

  it('comes back byte for byte, whatever is in it', async () => {
    const { standIn, session } = await openAt()
    await using _ = standIn
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 70_000 }), async (bytes) => {
        await session.upload('f', bytes)
        expect(await session.download('f')).toEqual(bytes)
      }),
      { numRuns: 10 },
    )
  })

  it('is an error when the provider stored something else', async () => {
    const { standIn, session } = await openAt({
      intercept: ({ method }, response) => {
        if (method !== 'PUT') return false
        response.writeHead(200, { 'x-content-sha256': hashOf('else') }).end('{}')
        return true
      },
    })
    await using _ = standIn
    await expect(session.upload('f', 'this')).rejects.toMatchObject({ code: 'digest_mismatch' })
  })

  it('is sent again when the network lost it', async () => {
    let losses = 1
    const { standIn, session } = await openAt({
      intercept: ({ method }, response) => {
        if (method !== 'PUT' || losses === 0) return false
        losses -= 1
        response.destroy()
        return true
      },
    })
    await using _ = standIn
    await session.upload('f', 'this')
    expect(standIn.requests.filter(({ method }) => method === 'PUT')).toHaveLength(2)
  })
})

describe('a file that is too large for one request', () => {
  const large = Buffer.from(new Uint8Array(40 * 1_048_576).map((_, index) => (index * 31) % 251))
  const largeHash = sha256Hex(large)

  it('goes in parts, each where the one before ended', async () => {
    const { standIn, session } = await openAt()
    await using _ = standIn
    const seen: number[] = []
    await session.upload('large', large, { onProgress: ({ doneBytes }) => seen.push(doneBytes) })
    expect(standIn.session().files.get('large')?.equals(large)).toBe(true)
    const parts = standIn.requests.filter(({ method }) => method === 'PUT')
    expect(parts.map(({ headers }) => headers['content-range'])).toEqual([
      'bytes 0-16777215/41943040',
      'bytes 16777216-33554431/41943040',
      'bytes 33554432-41943039/41943040',
    ])
    expect(seen).toEqual([0, 16_777_216, 33_554_432, 41_943_040])
  })

  it('goes on from what has arrived after a part whose answer was lost', async () => {
    let losses = 1
    const { standIn, session } = await openAt({
      intercept: (arrived, response) => {
        if (arrived.method !== 'PUT' || losses === 0) return false
        losses -= 1
        standIn.session().drafts.set(`large ${largeHash}`, Buffer.from(arrived.body))
        response.destroy()
        return true
      },
    })
    await using _ = standIn
    await session.upload('large', large)
    expect(standIn.session().files.get('large')?.equals(large)).toBe(true)
    expect(standIn.requests.filter(({ method }) => method === 'PUT')).toHaveLength(3)
  })

  it('is not sent twice when only the last answer was lost', async () => {
    let losses = 1
    const { standIn, session } = await openAt({
      intercept: ({ method, body }, response) => {
        if (method !== 'PUT' || losses === 0) return false
        losses -= 1
        standIn.session().files.set('f', Buffer.from(body))
        response.destroy()
        return true
      },
    })
    await using _ = standIn
    await session.upload('f', 'this')
    expect(standIn.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1)
  })
})

test('a stream that would not fit into memory is refused, not gathered', async () => {
  const { standIn, session } = await openAt()
  await using _ = standIn
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(1_048_576)),
  })
  await expect(session.upload('f', endless)).rejects.toMatchObject({ code: 'payload_too_large' })
})

describe('a file that is fetched', () => {
  const answerWith = (headers: Record<string, string>, body: string): Lies => ({
    intercept: ({ method, path }, response) => {
      if (method !== 'GET' || !path.includes('/files/')) return false
      response.writeHead(200, headers).end(body)
      return true
    },
  })

  it.each([
    ['with another hash', { 'x-content-sha256': hashOf('other') }],
    ['without a hash', {}],
  ])('%s is an error, even if a reader has taken its pieces', async (_, headers) => {
    const { standIn, session } = await openAt(
      answerWith(headers as Record<string, string>, 'changed on its way'),
    )
    await using __ = standIn
    await expect(session.download('f')).rejects.toMatchObject({ code: 'digest_mismatch' })
    const taken: number[] = []
    const read = async () => {
      for await (const piece of session.downloadPieces('f')) taken.push(piece.length)
    }
    await expect(read()).rejects.toMatchObject({ code: 'digest_mismatch' })
    expect(taken.length).toBeGreaterThan(0)
  })

  const cutAfter = (headBytes: number, cuts: number): Lies => {
    let made = 0
    return {
      intercept: ({ method, path, headers }, response) => {
        if (method !== 'GET' || !path.includes('/files/') || made === cuts) return false
        made += 1
        const at = Number(/\d+/.exec(headers.range ?? '0')?.[0])
        response.writeHead(at > 0 ? 206 : 200, {
          'content-length': WHOLE.length - at,
          'x-content-sha256': hashOf(WHOLE),
        })
        response.write(WHOLE.slice(at, at + headBytes))
        setImmediate(() => response.destroy())
        return true
      },
    }
  }
  const WHOLE = 'a file that is cut off, again and again'

  it('goes on where it was cut off, for as long as something comes', async () => {
    const { standIn, session } = await openAt(cutAfter(5, 7))
    await using _ = standIn
    standIn.session().files.set('f', Buffer.from(WHOLE))
    const seen: number[] = []
    const bytes = await session.download('f', { onProgress: ({ doneBytes }) => seen.push(doneBytes) })
    expect(new TextDecoder().decode(bytes)).toBe(WHOLE)
    const asked = standIn.requests.filter(({ path }) => path.includes('/files/'))
    expect(asked.length).toBeGreaterThan(1)
    expect(asked.at(-1)?.headers['if-range']).toBe(`"${hashOf(WHOLE)}"`)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(seen.at(-1)).toBe(WHOLE.length)
  })

  it('that goes on as another file is an error, not a mixture', async () => {
    const { standIn, session } = await openAt(cutAfter(5, 1))
    await using _ = standIn
    standIn.session().files.set('f', Buffer.from('something else by now'))
    await expect(session.download('f')).rejects.toMatchObject({ code: 'digest_mismatch' })
  })

  it('comes whole through what knows no ranges', async () => {
    let cuts = 1
    const { standIn, session } = await openAt({
      intercept: ({ method, path }, response) => {
        if (method !== 'GET' || !path.includes('/files/')) return false
        response.writeHead(200, { 'content-length': WHOLE.length, 'x-content-sha256': hashOf(WHOLE) })
        if (cuts === 0) response.end(WHOLE)
        else {
          cuts -= 1
          response.write(WHOLE.slice(0, 9))
          setImmediate(() => response.destroy())
        }
        return true
      },
    })
    await using _ = standIn
    expect(new TextDecoder().decode(await session.download('f'))).toBe(WHOLE)
  })

  it('that is cut off without headway is an error in the end', async () => {
    const { standIn, session } = await openAt(cutAfter(0, Number.POSITIVE_INFINITY), 300)
    await using _ = standIn
    await expect(session.download('f')).rejects.toMatchObject({ code: 'coordinator_unreachable' })
  })

  it('that is not there has its code', async () => {
    const { standIn, session } = await openAt()
    await using _ = standIn
    await expect(session.download('nothing')).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a file’s name', () => {
  it('is sent part by part, so that no character in it becomes a part of the URL', () => {
    const path = filePath('ses_1' as never, 'a b/ü?x=#1%.txt')
    expect(path).toBe('/api/sessions/ses_1/files/a%20b/%C3%BC%3Fx%3D%231%25.txt')
  })
})
