import { micros } from '@orien/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Lies, startCoordinatorStandIn } from '../testing/coordinatorStandIn.ts'
import { orienFor } from '../testing/orienFor.ts'
import { hashOf, makeProvider } from '../testing/providerStandIn.ts'
import { filePath } from './upload.ts'

const provider = await makeProvider('files')
const request = { providerId: provider.id, budgetMicros: micros(1_000_000n) }

async function openAt(lies: Lies = {}) {
  const standIn = await startCoordinatorStandIn(provider, lies)
  return { standIn, session: await orienFor(standIn).openSession(request) }
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

  it('that is cut off is an error', async () => {
    const { standIn, session } = await openAt({
      intercept: ({ method, path }, response) => {
        if (method !== 'GET' || !path.includes('/files/')) return false
        response.writeHead(200, { 'content-length': '100', 'x-content-sha256': hashOf('x') })
        response.write('half')
        setImmediate(() => response.destroy())
        return true
      },
    })
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
