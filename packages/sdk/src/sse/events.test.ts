import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createHttpClient } from '../http/client.ts'
import {
  type Arrived,
  type Loopback,
  problem,
  startLoopback,
  startSse,
  writeSse,
} from '../testing/loopback.ts'
import { followSession, type SessionMessage } from './events.ts'
import { EventFeed } from './feed.ts'

const SESSION = 'ses_00000000000000000000000000'
const EXECUTION = 'exe_00000000000000000000000000'
const at = '2026-11-23T04:00:00.000Z'

const event = (sequence: number, type = 'execution.started') => ({ sequence, type, at, data: {} })
const TOTAL = 12
const STORY = [
  ...Array.from({ length: TOTAL - 1 }, (_, index) => event(index + 1)),
  event(TOTAL, 'session.settled'),
]

function clientOf(server: Loopback) {
  const timeouts = { connectMs: 5_000, idleMs: 5_000, totalMs: 5_000 }
  return createHttpClient({ baseUrl: server.url, fetch, timeouts, token: async () => 'token' })
}

const afterOf = (request: Arrived) => Number(request.headers['last-event-id'])

/** Tells the story from where the reader is, and breaks off after each of the given numbers of events. */
function tellInParts(parts: number[]) {
  return (request: Arrived, response: ServerResponse) => {
    startSse(response)
    const rest = STORY.slice(afterOf(request))
    const count = parts.shift() ?? rest.length
    for (const one of rest.slice(0, count)) writeSse(response, one.type, one, one.sequence)
    response.end()
  }
}

async function read(messages: AsyncIterable<SessionMessage>): Promise<number[]> {
  const sequences: number[] = []
  for await (const message of messages) if (message.kind === 'event') sequences.push(message.event.sequence)
  return sequences
}

const all = STORY.map(({ sequence }) => sequence)

describe('the events of a session', () => {
  it('come each once and in order, however often the connection breaks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 6 }), async (parts) => {
        await using server = await startLoopback(tellInParts([...parts]))
        expect(await read(followSession(clientOf(server), SESSION))).toEqual(all)
      }),
      { numRuns: 8 },
    )
  })

  it('go on after the number that a reader has already seen', async () => {
    await using server = await startLoopback(tellInParts([]))
    expect(await read(followSession(clientOf(server), SESSION, { after: 9 }))).toEqual([10, 11, 12])
    expect(server.requests[0]?.headers['last-event-id']).toBe('9')
  })

  it('that a server repeats are passed on once', async () => {
    await using server = await startLoopback((_, response) => {
      startSse(response)
      for (const one of [...STORY.slice(0, 5), ...STORY]) writeSse(response, one.type, one, one.sequence)
    })
    expect(await read(followSession(clientOf(server), SESSION))).toEqual(all)
  })

  it('of which one is left out are an error, not a silence', async () => {
    await using server = await startLoopback((_, response) => {
      startSse(response)
      for (const one of STORY.filter(({ sequence }) => sequence !== 4))
        writeSse(response, one.type, one, one.sequence)
    })
    await expect(read(followSession(clientOf(server), SESSION))).rejects.toMatchObject({
      code: 'unreadable',
      message: 'the coordinator left out event 4',
    })
  })

  it('carry live messages between them, and drop those they cannot read', async () => {
    await using server = await startLoopback((_, response) => {
      startSse(response)
      writeSse(response, 'meter', { executionId: EXECUTION, effectiveMs: 5 })
      writeSse(response, 'log', { executionId: EXECUTION, stream: 'stdout', offset: 0, data: 'aGk=' })
      writeSse(response, 'meter', { nonsense: true })
      writeSse(response, 'session.failed', event(1, 'session.failed'), 1)
    })
    const kinds: string[] = []
    for await (const { kind } of followSession(clientOf(server), SESSION)) kinds.push(kind)
    expect(kinds).toEqual(['meter', 'log', 'event'])
  })

  it.each([
    ['no JSON', 'hello'],
    ['another form', JSON.stringify({ sequence: 1 })],
    ['a type that is not known', JSON.stringify(event(1, 'session.paused'))],
  ])('with %s are an error', async (_, data) => {
    await using server = await startLoopback((__, response) => {
      startSse(response)
      response.write(`id: 1\nevent: session.started\ndata: ${data}\n\n`)
    })
    await expect(read(followSession(clientOf(server), SESSION))).rejects.toMatchObject({ code: 'unreadable' })
  })

  it('of a session that the reader may not see are refused at once', async () => {
    await using server = await startLoopback((_, response) => problem(response, 404, 'not_found'))
    await expect(read(followSession(clientOf(server), SESSION))).rejects.toMatchObject({ code: 'not_found' })
    expect(server.requests).toHaveLength(1)
  })

  it('end for a reader that stops reading, and its connection with them', async () => {
    let isClosed = () => {}
    const closed = new Promise<void>((resolve) => (isClosed = resolve))
    await using server = await startLoopback((_, response) => {
      response.on('close', isClosed)
      startSse(response)
      writeSse(response, 'session.started', event(1, 'session.started'), 1)
    })
    for await (const message of followSession(clientOf(server), SESSION)) {
      expect(message.kind).toBe('event')
      break
    }
    await closed
  })

  it('end with the caller’s reason when it aborts', async () => {
    await using server = await startLoopback((_, response) => startSse(response))
    const stop = new AbortController()
    const onConnect = () => stop.abort(new TypeError('enough'))
    const reading = read(followSession(clientOf(server), SESSION, { signal: stop.signal, onConnect }))
    await expect(reading).rejects.toThrow('enough')
  })
})

describe('a feed for many listeners', () => {
  const listen = (feed: EventFeed) => {
    const heard: number[] = []
    let stop = () => {}
    const over = new Promise<unknown>((resolve) => {
      stop = feed.listen({
        message: (message) => message.kind === 'event' && heard.push(message.event.sequence),
        failed: resolve,
      })
    })
    return { heard, over, stop }
  }

  it('has one connection for all of them', async () => {
    await using server = await startLoopback(tellInParts([]))
    const feed = new EventFeed(clientOf(server), SESSION)
    const listeners = [listen(feed), listen(feed), listen(feed)]
    expect(await Promise.all(listeners.map(({ over }) => over))).toEqual([undefined, undefined, undefined])
    for (const { heard } of listeners) expect(heard).toEqual(all)
    expect(server.requests).toHaveLength(1)
  })

  it('has none while nobody listens, and goes on where it stopped', async () => {
    let isAsked = () => {}
    const asked = new Promise<void>((resolve) => (isAsked = resolve))
    await using server = await startLoopback((request, response) => {
      startSse(response)
      const rest = STORY.slice(afterOf(request))
      const isFirst = afterOf(request) === 0
      for (const one of isFirst ? rest.slice(0, 5) : rest) writeSse(response, one.type, one, one.sequence)
      if (isFirst) response.on('close', isAsked)
    })
    const feed = new EventFeed(clientOf(server), SESSION)
    const heard: number[] = []
    await new Promise<void>((resolve) => {
      const stop = feed.listen({
        message: (message) => {
          if (message.kind === 'event') heard.push(message.event.sequence)
          if (heard.length < 5) return
          stop()
          resolve()
        },
        failed: () => resolve(),
      })
    })
    await asked
    const second = listen(feed)
    await second.over
    expect([...heard, ...second.heard]).toEqual(all)
  })

  it('tells everyone why it failed', async () => {
    await using server = await startLoopback((_, response) => problem(response, 403, 'forbidden'))
    const feed = new EventFeed(clientOf(server), SESSION)
    const failures = await Promise.all([listen(feed).over, listen(feed).over])
    for (const failure of failures) expect(failure).toMatchObject({ code: 'forbidden' })
  })
})
