import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Fetch, listPublicProviders } from '@orien/sdk/directory'
import { expect, test } from 'vitest'
import { httpFetch } from './httpFetch.ts'

const EMPTY = '{"items":[]}'
const problem = '{"code":"validation_failed","detail":"größer als erlaubt","hint":"Send less."}'

/** One answer of each kind; what is not answered is cut off. */
const ANSWERS: Record<string, RequestListener> = {
  'a list': (_, response) => response.end(EMPTY),
  'a list in many pieces': (_, response) => {
    for (const letter of EMPTY) response.write(letter)
    response.end()
  },
  'a problem': (_, response) => response.writeHead(400).end(problem),
  'a problem cut inside a letter': (_, response) => {
    const bytes = Buffer.from(problem)
    const cut = bytes.indexOf(0xc3) + 1
    response.writeHead(400).write(bytes.subarray(0, cut), () => response.end(bytes.subarray(cut)))
  },
  "a proxy's page": (_, response) => response.writeHead(403).end('<h1>no</h1>'),
  'half a list': (_, response) => response.end(EMPTY.slice(0, 5)),
}

async function outcomeOf(baseUrl: string, fetch: Fetch): Promise<unknown> {
  try {
    return await listPublicProviders(baseUrl, { q: 'a b&c' }, fetch)
  } catch (error) {
    const { name, message, code, facts } = error as Error & { code: string; facts: unknown }
    return { name, message, code, facts }
  }
}

async function serve(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

test.each(Object.keys(ANSWERS))('%s means to a short command what it means to `fetch`', async (kind) => {
  await using server = await serve(ANSWERS[kind] ?? ((_, response) => void response.destroy()))
  const [ours, theirs] = await Promise.all([httpFetch, fetch].map((by) => outcomeOf(server.url, by)))
  expect(ours).toEqual(theirs)
})

test('a redirect is not followed', async () => {
  await using server = await serve((_, response) => response.writeHead(307, { location: '/other' }).end())
  for (const by of [httpFetch, fetch]) await expect(by(server.url, { redirect: 'error' })).rejects.toThrow()
})

test('an answer that breaks off, or that nobody waits for any more, is an error', async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy())
  })
  const { body } = await httpFetch(server.url, {})
  const readAll = async () => {
    const reader = body?.getReader()
    while (!(await reader?.read())?.done);
  }
  await expect(readAll()).rejects.toThrow()
  const signal = AbortSignal.abort(new TypeError('changed its mind'))
  await expect(httpFetch(server.url, { signal })).rejects.toThrow()
})
