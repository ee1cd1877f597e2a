import type { ClientRequest, IncomingMessage } from 'node:http'
import { OrienError } from '@orien/protocol/errors'
import type { Fetch } from '@orien/sdk/directory'

// Importing it would read all that it exports, WebSocket among it: that loads Node's whole `fetch`, 50 ms.
const http = process.getBuiltinModule('node:http')

/**
 * `fetch` for a short command: on a plain connection one request without a body and what the SDK looks at in its
 * answer, by `node:http`, which is there in a fifth of the time. Over TLS it is Node's own.
 */
export const httpFetch: Fetch = async (url, init) => {
  if (!url.startsWith('http:') || init.body) return globalThis.fetch(url, init)
  const answer = await answerTo(
    http.request(url, {
      method: init.method ?? 'GET',
      headers: init.headers as Record<string, string>,
      ...(init.signal ? { signal: init.signal } : {}),
    }),
  )
  const { statusCode: status = 0, headers } = answer
  if (status >= 300 && status < 400) {
    answer.destroy()
    throw new OrienError('coordinator_unreachable', 'the answer is a redirect')
  }
  return {
    ok: status >= 200 && status < 300,
    status,
    headers: { get: (name) => headers[name]?.toString() ?? null },
    body: { getReader: () => readerOf(answer) },
  }
}

function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => request.on('response', resolve).on('error', reject).end())
}

function readerOf(answer: IncomingMessage) {
  const pieces = answer[Symbol.asyncIterator]()
  return {
    read: async () => {
      const { done, value } = await pieces.next()
      return done
        ? { done: true as const, value: undefined }
        : { done: false as const, value: value as Uint8Array }
    },
    cancel: async () => void answer.destroy(),
  }
}
