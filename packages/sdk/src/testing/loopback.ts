import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it arrived. */
export type Arrived = { method: string; path: string; headers: IncomingMessage['headers']; body: Buffer }

/** Answers requests; what it returns is sent as JSON unless it wrote an answer itself. */
export type Answer = (request: Arrived, response: ServerResponse) => unknown

/** A server on the loopback for one test. */
export type Loopback = {
  url: string
  /** Everything that arrived so far. */
  requests: Arrived[]
  [Symbol.asyncDispose]: () => Promise<void>
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

export async function startLoopback(answer: Answer): Promise<Loopback> {
  const requests: Arrived[] = []
  const failures: unknown[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request
    const arrived = { method, path: url, headers, body: await readBody(request) }
    requests.push(arrived)
    let json: unknown
    try {
      json = await answer(arrived, response)
    } catch (error) {
      failures.push(error)
      response.writeHead(500).end()
    }
    if (json === undefined || response.headersSent || response.writableEnded || response.destroyed) return
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(json))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      // A mistake of the stand-in must not pass for an answer of the coordinator.
      if (failures.length > 0) throw failures[0]
    },
  }
}

/** Answers with a problem document. */
export function problem(
  response: ServerResponse,
  status: number,
  code: string,
  facts: object = {},
): undefined {
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ code, detail: `stand-in: ${code}`, requestId: 'req_1', ...facts }))
}

/** Begins a stream of server-sent events. */
export function startSse(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
}

/** Writes one event. */
export function writeSse(response: ServerResponse, event: string, data: unknown, id?: string | number): void {
  response.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}
