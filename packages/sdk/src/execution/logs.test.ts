import { executionView } from '@orien/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createHttpClient } from '../http/client.ts'
import { type Answer, startLoopback, startSse, writeSse } from '../testing/loopback.ts'
import { lower, makeProvider, walletOf } from '../testing/providerStandIn.ts'
import { SessionStandIn } from '../testing/sessionStandIn.ts'
import { type LogPiece, readLogs } from './logs.ts'

const session = new SessionStandIn(await makeProvider('logs'), 1_000_000n as never)
session.start(lower(walletOf('payer').address), lower(walletOf('signer').address))
const run = session.begin(20_000n as never)
const { id } = run.view
const running = executionView.encode(run.view)

const piece = (stream: 'stdout' | 'stderr', offset: number, bytes: Uint8Array) => ({
  executionId: id,
  stream,
  offset,
  data: Buffer.from(bytes).toString('base64'),
})

async function readAll(answer: Answer, after?: number): Promise<{ pieces: LogPiece[]; connections: number }> {
  await using server = await startLoopback((request, response) =>
    request.path.endsWith('/logs') ? answer(request, response) : running,
  )
  const timeouts = { connectMs: 5_000, idleMs: 5_000, totalMs: 5_000 }
  const http = createHttpClient({ baseUrl: server.url, fetch, timeouts, token: async () => 'token' })
  const pieces: LogPiece[] = []
  for await (const one of readLogs(http, id, after === undefined ? {} : { after })) pieces.push(one)
  return { pieces, connections: server.requests.filter(({ path }) => path.endsWith('/logs')).length }
}

const joined = (pieces: readonly LogPiece[]) => Buffer.concat(pieces.map(({ bytes }) => bytes))

describe('the output of a run', () => {
  it('comes byte by byte once and in order, however the connection breaks and the pieces overlap', async () => {
    const output = fc.uint8Array({ minLength: 1, maxLength: 120 })
    const cuts = fc.array(fc.record({ length: fc.integer({ min: 1, max: 40 }), back: fc.nat(10) }), {
      maxLength: 5,
    })
    await fc.assert(
      fc.asyncProperty(output, cuts, async (bytes, parts) => {
        const left = [...parts]
        const { pieces } = await readAll((request, response) => {
          startSse(response)
          const next = left.shift()
          const seen = Number(request.headers['last-event-id'])
          const from = Math.max(0, seen - (next?.back ?? 0))
          const to = next ? Math.min(bytes.length, from + next.back + next.length) : bytes.length
          if (to > from) writeSse(response, 'log', piece('stdout', from, bytes.subarray(from, to)), to)
          if (!next) writeSse(response, 'end', {})
          response.end()
        })
        expect(joined(pieces)).toEqual(Buffer.from(bytes))
      }),
      { numRuns: 15 },
    )
  })

  it('resumes after the byte that was read last', async () => {
    const asked: unknown[] = []
    await readAll((request, response) => {
      asked.push(request.headers['last-event-id'])
      startSse(response)
      if (asked.length === 1) writeSse(response, 'log', piece('stdout', 0, Buffer.from('hello')), 5)
      else writeSse(response, 'end', {})
      response.end()
    })
    expect(asked).toEqual(['0', '5'])
  })

  it('is text by stream: a character that is cut between two pieces comes whole', async () => {
    const tick = Buffer.from('✓')
    const { pieces } = await readAll((_, response) => {
      startSse(response)
      writeSse(response, 'log', piece('stdout', 0, tick.subarray(0, 2)), 2)
      writeSse(response, 'log', piece('stderr', 2, Buffer.from('warn')), 6)
      writeSse(response, 'log', piece('stdout', 6, tick.subarray(2)), 7)
      writeSse(response, 'end', {})
    })
    expect(pieces.map(({ stream, text }) => [stream, text])).toEqual([
      ['stdout', ''],
      ['stderr', 'warn'],
      ['stdout', '✓'],
    ])
  })

  it('of which a part is left out is an error, not a silence', async () => {
    const reading = readAll((_, response) => {
      startSse(response)
      writeSse(response, 'log', piece('stdout', 3, Buffer.from('late')), 7)
    })
    await expect(reading).rejects.toMatchObject({
      code: 'unreadable',
      message: 'the coordinator left out output at 0',
    })
  })

  it('in another form than it should have is an error', async () => {
    const reading = readAll((_, response) => {
      startSse(response)
      writeSse(response, 'log', { text: 'hello' }, 5)
    })
    await expect(reading).rejects.toMatchObject({ code: 'unreadable' })
  })

  it('can be read from the middle', async () => {
    const { pieces } = await readAll((request, response) => {
      startSse(response)
      const from = Number(request.headers['last-event-id'])
      writeSse(response, 'log', piece('stdout', from, Buffer.from('0123456789').subarray(from)), 10)
      writeSse(response, 'end', {})
    }, 6)
    expect(pieces.map(({ text, offset }) => [text, offset])).toEqual([['6789', 6]])
  })

  it('of a run that has ended ends, even when nobody says so', async () => {
    session.finish(run, 10)
    const ended = executionView.encode(run.view)
    await using server = await startLoopback((request, response) => {
      if (!request.path.endsWith('/logs')) return ended
      startSse(response)
      const from = Number(request.headers['last-event-id'])
      if (from === 0) writeSse(response, 'log', piece('stdout', 0, Buffer.from('all')), 3)
      response.end()
      return undefined
    })
    const timeouts = { connectMs: 5_000, idleMs: 5_000, totalMs: 5_000 }
    const http = createHttpClient({ baseUrl: server.url, fetch, timeouts, token: async () => 'token' })
    const pieces: LogPiece[] = []
    for await (const one of readLogs(http, id)) pieces.push(one)
    expect(joined(pieces).toString()).toBe('all')
  })
})
