import type { Operation, OperationOutput } from '@orien/protocol'
import { createServerClock, monotonicMs } from '../clock.ts'
import { randomKey } from '../random.ts'
import { type TokenSource, withToken } from './authorise.ts'
import { decodeAnswer } from './decode.ts'
import { type CallRequest, encodeBody, encodePath } from './encode.ts'
import { withRetries } from './retry.ts'
import { exchange, type Fetch, type Incoming, send } from './transport.ts'
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
type StreamRequest = {
  method: 'GET' | 'PUT'
  path: string
  headers?: Record<string, string>
  body?: Blob
  idleMs?: number
  /** Until the answer begins, where that may take longer than with others. */
  headMs?: number
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
  /** How long a call may take, its repetitions included, in milliseconds. */
  patienceMs: number
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
  const clock = createServerClock()
  const token: TokenSource = (renew) => options.token(client, renew)
  const nobody: TokenSource = async () => undefined

  const client: HttpClient = {
    async call(op, request, { prefer, signal, idempotencyKey } = {}) {
      const body = encodeBody(op, request)
      const url = baseUrl + encodePath(op, request)
      const headers = headersOf(op, body, { prefer, idempotencyKey })
      const waitMs = prefer?.waitMs ?? 0
      const limits = { ...timeouts, connectMs: timeouts.connectMs + waitMs }
      const deadlineAtMs = monotonicMs() + timeouts.totalMs + waitMs
      const source = op.actor === 'public' || op.actor === 'signature' ? nobody : token
      const answer = await withRetries({ repeatable: isRepeatable(op), deadlineAtMs, signal }, () =>
        withToken(source, (bearer) => {
          const outgoing = { method: op.method, url, headers: { ...headers, ...bearer }, body }
          return exchange(fetch, outgoing, limits, signal)
        }),
      )
      clock.learn(answer.headers)
      return decodeAnswer(op, answer.text)
    },
    open({ path, method, headers = {}, body, signal, idleMs = timeouts.idleMs, headMs = 0 }) {
      const sendMs = (body?.size ?? 0) / SLOWEST_BYTES_PER_MS
      const limits = { connectMs: Math.max(timeouts.connectMs, headMs) + sendMs, idleMs }
      return withToken(token, (bearer) => {
        const outgoing = { method, url: baseUrl + path, headers: { ...headers, ...bearer }, body }
        return send(fetch, outgoing, limits, signal)
      })
    },
    serverNowMs: clock.nowMs,
    patienceMs: timeouts.totalMs,
  }
  return client
}
