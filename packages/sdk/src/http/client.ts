import { type Operation, type OperationOutput, OrienError } from '@orien/protocol'
import { randomKey } from '../idempotency.ts'
import { decodeAnswer } from './decode.ts'
import { type CallRequest, encodeBody, encodePath } from './encode.ts'
import { withRetries } from './retry.ts'
import { exchange, type Fetch, type Incoming, type Outgoing, send } from './transport.ts'
import type { Timeouts } from './watch.ts'

/** What a single call may want besides its request. */
export type CallOptions = {
  /** Same key and same request = same answer. Made at random for a mutation that takes one and is given none. */
  idempotencyKey?: string | undefined
  /** `Prefer: wait`: how long the coordinator may hold the answer back until there is a result. */
  prefer?: { waitMs: number } | undefined
  signal?: AbortSignal | undefined
}

/** A request for bytes or server-sent events. */
export type StreamRequest = {
  method: 'GET' | 'PUT'
  path: string
  headers?: Record<string, string>
  body?: Blob
  idleMs?: number
  signal?: AbortSignal | undefined
}

/** An upload may be this slow before it is given up: 100 kB a second. */
const SLOWEST_BYTES_PER_MS = 100

/** Talks to one coordinator. */
export type HttpClient = {
  /** Calls an operation of the table; amounts come back as `bigint`. */
  call: <Op extends Operation>(
    op: Op,
    request: CallRequest<Op>,
    options?: CallOptions,
  ) => Promise<OperationOutput<Op>>
  /** Opens a stream beside the table. */
  open: (request: StreamRequest) => Promise<Incoming>
  /** The coordinator's clock, from the Date of its last answer; our own before the first. Milliseconds since 1970. */
  serverNowMs: () => number
}

/** What a client is made of. */
export type HttpClientOptions = {
  baseUrl: string
  fetch: Fetch
  timeouts: Timeouts
  /** A bearer token for calls that are not public; `renew` when the last one was refused. */
  token: (client: HttpClient, renew: boolean) => Promise<string | undefined>
}

function headersOf(op: Operation, body: string | undefined, options: CallOptions): Record<string, string> {
  const key = op.idempotent ? (options.idempotencyKey ?? randomKey()) : undefined
  const waitSeconds = options.prefer && Math.ceil(options.prefer.waitMs / 1_000)
  return {
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(key === undefined ? {} : { 'idempotency-key': key }),
    ...(waitSeconds ? { prefer: `wait=${waitSeconds}` } : {}),
  }
}

function isRepeatable(op: Operation): boolean {
  return op.idempotent || op.method === 'GET' || op.method === 'PUT' || op.method === 'DELETE'
}

/**
 * Makes a client.
 *
 * @throws OrienError by every call: the coordinator's own, `timed_out`, `coordinator_unreachable`, `unreadable`,
 * or `validation_failed` before anything is sent
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { baseUrl, fetch, timeouts } = options
  let skewMs = 0
  const learnTime = (headers: Headers) => {
    const serverMs = Date.parse(headers.get('date') ?? '')
    if (!Number.isNaN(serverMs)) skewMs = serverMs - Date.now()
  }

  /** Adds the token, and once more a fresh one when the coordinator no longer knows it. */
  async function authorised<T>(isPublic: boolean, attempt: (bearer: Record<string, string>) => Promise<T>) {
    const bearer = async (renew: boolean) => {
      const token = isPublic ? undefined : await options.token(client, renew)
      return token === undefined ? {} : { authorization: `Bearer ${token}` }
    }
    const first = await bearer(false)
    try {
      return await attempt(first)
    } catch (error) {
      if (!('authorization' in first && error instanceof OrienError && error.code === 'unauthorized'))
        throw error
      const second = await bearer(true)
      if (second.authorization === first.authorization) throw error
      return attempt(second)
    }
  }

  const client: HttpClient = {
    async call(op, request, callOptions = {}) {
      const body = encodeBody(op, request)
      const outgoing: Outgoing = {
        method: op.method,
        url: baseUrl + encodePath(op, request),
        headers: {},
        body,
      }
      const headers = headersOf(op, body, callOptions)
      const waitMs = callOptions.prefer?.waitMs ?? 0
      const limits = { ...timeouts, connectMs: timeouts.connectMs + waitMs }
      const { signal } = callOptions
      const deadlineAtMs = performance.now() + timeouts.totalMs + waitMs
      const answer = await withRetries({ repeatable: isRepeatable(op), deadlineAtMs, signal }, () =>
        authorised(op.actor === 'public' || op.actor === 'signature', (bearer) =>
          exchange(fetch, { ...outgoing, headers: { ...headers, ...bearer } }, limits, signal),
        ),
      )
      learnTime(answer.headers)
      return decodeAnswer(op, answer.text)
    },
    open({ path, method, headers = {}, body, signal, idleMs = timeouts.idleMs }) {
      const limits = { connectMs: timeouts.connectMs + (body?.size ?? 0) / SLOWEST_BYTES_PER_MS, idleMs }
      return authorised(false, (bearer) =>
        send(
          fetch,
          { method, url: baseUrl + path, headers: { ...headers, ...bearer }, body },
          limits,
          signal,
        ),
      )
    },
    serverNowMs: () => Date.now() + skewMs,
  }
  return client
}
