import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A request as the stand-in saw it. */
type EngineRequest = { method: string; path: string; body: unknown }

/** Speaks a few endpoints of an engine over a real socket. It runs nothing: it shows what is asked of an engine. */
export type EngineStandIn = {
  socketPath: string
  requests: EngineRequest[]
  /** Answers that differ from the usual ones, by method and path without its version. */
  answers: Map<string, { status: number; body: unknown }>
  close(): Promise<void>
}

const USUAL: readonly (readonly [string, unknown])[] = [
  ['GET /info', { SecurityOptions: ['name=seccomp,profile=builtin'] }],
  ['GET /version', { Version: '28.2.2', ApiVersion: '1.50' }],
  ['GET /images/json', [{ Id: 'sha256:0' }]],
  ['GET /containers/json', [{ Id: 'left' }]],
  ['DELETE /containers/left', {}],
]

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString()
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export async function openEngineStandIn(): Promise<EngineStandIn> {
  const dir = await mkdtemp(join(tmpdir(), 'orien-engine-'))
  const socketPath = join(dir, 'engine.sock')
  const requests: EngineRequest[] = []
  const answers: EngineStandIn['answers'] = new Map(
    USUAL.map(([name, body]) => [name, { status: 200, body }] as const),
  )
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const path = new URL(request.url ?? '', 'http://engine').pathname
      const method = request.method ?? ''
      requests.push({ method, path, body })
      const answer = answers.get(`${method} ${path}`) ?? {
        status: 500,
        body: { message: `${path}: /etc/secret` },
      }
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer.body))
    })
  })
  server.listen(socketPath)
  await once(server, 'listening')
  return {
    socketPath,
    requests,
    answers,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await rm(dir, { recursive: true })
    },
  }
}
