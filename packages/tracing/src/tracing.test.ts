import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTracing } from './openTracing.ts'
import { noTracing } from './tracing.ts'

type Span = {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  startTimeUnixNano: string
}
type Export = { resourceSpans: { resource: object; scopeSpans: { spans: Span[] }[] }[] }

const received: { path: string | undefined; body: Export }[] = []
const receiver = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    received.push({ path: request.url, body: JSON.parse(Buffer.concat(chunks).toString()) })
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
})
let endpoint = ''
beforeAll(async () => {
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
})
afterAll(() => receiver.close())

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const open = () => openTracing({ endpoint, service: 'test', version: '0' })
const spansOf = (from: number) =>
  received
    .slice(from)
    .flatMap(({ body }) =>
      body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    )

test('without a receiver nothing is traced and no package of OpenTelemetry is loaded', async () => {
  expect(await openTracing({ endpoint: undefined, service: 'test', version: '0' })).toBe(noTracing)
  expect(noTracing.begin('span', { startMs: 0, parent: PARENT }).traceparent).toBeUndefined()
})

test('a span hangs below the parent that was named, with the times that were given', async () => {
  const [from, tracing] = [received.length, await open()]
  const startMs = performance.now()
  const above = tracing.begin('above', { startMs, parent: PARENT, kind: 'server' })
  tracing.begin('below', { startMs: startMs + 5, parent: above.traceparent }).end({ endMs: startMs + 7 })
  above.end({ endMs: startMs + 9, facts: { code: 'ok' } })
  await tracing.stop()
  expect(received[from]?.path).toBe('/v1/traces')
  const [below, first] = spansOf(from)
  expect(first).toMatchObject({
    name: 'above',
    traceId: PARENT.slice(3, 35),
    parentSpanId: PARENT.slice(36, 52),
  })
  expect(below).toMatchObject({ name: 'below', traceId: first?.traceId, parentSpanId: first?.spanId })
  const lag = BigInt(below?.startTimeUnixNano ?? 0) - BigInt(first?.startTimeUnixNano ?? 0)
  expect(Number(lag) / 1e6).toBeCloseTo(5, 2)
})

test('a client that does not want its trace kept is followed', async () => {
  const [from, tracing] = [received.length, await open()]
  const span = tracing.begin('unsampled', { startMs: performance.now(), parent: PARENT.replace(/01$/, '00') })
  expect(span.traceparent).toMatch(new RegExp(`^${PARENT.slice(0, 35)}-[0-9a-f]{16}-00$`))
  span.end({ endMs: performance.now() })
  await tracing.stop()
  expect(spansOf(from)).toEqual([])
})

test('a receiver that is away costs spans and nothing else', async () => {
  const tracing = await openTracing({ endpoint: 'http://127.0.0.1:1', service: 'test', version: '0' })
  tracing.begin('lost', { startMs: performance.now() }).end({ endMs: performance.now(), isError: true })
  await expect(tracing.stop()).resolves.toBeUndefined()
})
