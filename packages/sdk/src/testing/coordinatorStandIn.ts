import type { ServerResponse } from 'node:http'
import {
  actOnSession,
  channelId,
  depositDigest,
  execute,
  executionView,
  micros,
  openSession,
  type ProviderView,
  providerView,
  type Receipt,
  readReceipt,
  type SessionView,
  sessionView,
  sha256Hex,
  type UsdcMicros,
} from '@orien/protocol'
import { recoverAddress, recoverTypedDataAddress } from 'viem'
import { createSiweMessage } from 'viem/siwe'
import { carryFile, findUpload } from './fileStandIn.ts'
import { type Arrived, type Loopback, problem, startLoopback, startSse, writeSse } from './loopback.ts'
import { CHAIN_ID, ESCROW, lower, newId, type ProviderStandIn, TOKEN } from './providerStandIn.ts'
import { type RunStandIn, SessionStandIn } from './sessionStandIn.ts'

/** What a dishonest or unlucky coordinator does otherwise. */
export type Lies = {
  /** Changes what it says of a provider. */
  provider?: (view: ProviderView) => ProviderView
  /** Changes what it says of a session. */
  session?: (view: SessionView) => Partial<SessionView>
  /** The message it wants signed. */
  challenge?: string
  /** How a run goes; by default it ends at once after 1,500 ms. `null`: it goes on. */
  run?: (run: RunStandIn) => { effectiveMs: number; change?: Partial<Receipt> } | null
  /** Changes the view of an execution. */
  execution?: (view: RunStandIn['view']) => RunStandIn['view']
  /** The voucher it asks for, instead of what is needed. */
  required?: (neededMicros: UsdcMicros) => bigint
  /** Answers a request itself; undefined leaves it to the honest code. */
  intercept?: (request: Arrived, response: ServerResponse) => boolean | Promise<boolean>
}

/** A stand-in for a coordinator: it keeps sessions in memory, checks real signatures, and can be told to lie. */
export type CoordinatorStandIn = Loopback & {
  sessions: Map<string, SessionStandIn>
  lies: Lies
  session: () => SessionStandIn
}

type Parts = {
  provider: ProviderStandIn
  sessions: Map<string, SessionStandIn>
  lies: Lies
  host: () => string
}

const EXPIRY = '2099-01-01T00:00:00.000Z'
const VOUCHER_TYPES = {
  Voucher: [
    { name: 'channelId', type: 'bytes32' },
    { name: 'cumulativeAmount', type: 'uint128' },
  ],
} as const

function viewOf(parts: Parts, session: SessionStandIn): unknown {
  const honest = session.view()
  return parts.lies.session ? session.view(parts.lies.session(sessionView.decode(honest))) : honest
}

async function acceptVoucher(
  session: SessionStandIn,
  voucher: { cumulativeMicros: UsdcMicros; signature: `0x${string}` },
) {
  const { channel } = session
  if (!channel) return false
  // viem's encoder, not ours: a stand-in must not agree with the client by sharing its mistakes.
  const signer = await recoverTypedDataAddress({
    domain: { name: 'EVM Payment Channel', version: '1', chainId: CHAIN_ID, verifyingContract: ESCROW },
    types: VOUCHER_TYPES,
    primaryType: 'Voucher',
    message: { channelId: channelId(channel), cumulativeAmount: voucher.cumulativeMicros },
    signature: voucher.signature,
  })
  if (lower(signer) !== channel.authorizedSigner || voucher.cumulativeMicros > session.budgetMicros)
    return false
  if (voucher.cumulativeMicros > session.authorisedMicros) session.authorisedMicros = voucher.cumulativeMicros
  return true
}

async function act(parts: Parts, session: SessionStandIn, request: Arrived, response: ServerResponse) {
  const body = actOnSession.body.decode(JSON.parse(request.body.toString()))
  if (body.action === 'topUp') session.budgetMicros = micros(session.budgetMicros + body.additionalMicros)
  if (body.action === 'start') {
    const terms = {
      token: TOKEN,
      tokenName: 'USDC',
      tokenVersion: '2',
      chainId: CHAIN_ID,
      from: body.payer,
      escrow: ESCROW,
    }
    const hash = depositDigest({ ...terms, ...body.deposit })
    const signer = await recoverAddress({ hash, signature: body.deposit.signature })
    if (lower(signer) !== body.payer) return problem(response, 401, 'signature_invalid')
    if (body.deposit.validBefore * 1_000 < Date.now()) return problem(response, 402, 'deposit_refused')
    session.start(body.payer, body.authorizedSigner)
    if (!(await acceptVoucher(session, body.voucher))) return problem(response, 402, 'voucher_invalid')
  }
  return viewOf(parts, session)
}

function end(parts: Parts, session: SessionStandIn, response: ServerResponse): unknown {
  if (session.status === 'failed') return problem(response, 409, 'illegal_transition')
  if (session.status === 'pending' || session.status === 'active') {
    session.status = 'completed'
    session.emit('session.completed', {})
  }
  return viewOf(parts, session)
}

async function submit(parts: Parts, session: SessionStandIn, request: Arrived, response: ServerResponse) {
  const body = execute.body.decode(JSON.parse(request.body.toString()))
  const key = String(request.headers['idempotency-key'])
  const known = session.runs.get(session.byKey.get(key) ?? '')
  if (known) return showRun(parts, known)
  if (session.status !== 'active') return problem(response, 409, 'session_not_active')
  if (body.voucher && !(await acceptVoucher(session, body.voucher)))
    return problem(response, 402, 'voucher_invalid')
  const holdMicros = session.hold(body.maxCostMicros)
  if (holdMicros === null) return problem(response, 402, 'budget_exhausted')
  const needed = micros(session.consumedMicros + session.heldMicros + holdMicros)
  const required = parts.lies.required?.(needed) ?? needed
  if (session.authorisedMicros < required) {
    return problem(response, 402, 'voucher_required', { requiredCumulativeMicros: required.toString() })
  }
  const run = session.begin(holdMicros)
  session.byKey.set(key, run.view.id)
  const outcome = parts.lies.run ? parts.lies.run(run) : { effectiveMs: 1_500 }
  if (outcome) session.finish(run, outcome.effectiveMs, outcome.change)
  return showRun(parts, run)
}

function showRun({ lies }: Parts, { view }: RunStandIn): unknown {
  return executionView.encode(lies.execution?.(view) ?? view)
}

function followEvents(session: SessionStandIn, request: Arrived, response: ServerResponse): void {
  startSse(response)
  let sent = Number(request.headers['last-event-id'] ?? 0)
  const flush = () => {
    for (; sent < session.events.length; sent += 1) {
      const event = session.events[sent]
      if (event) writeSse(response, event.type, event, event.sequence)
    }
  }
  const before = session.onEvent
  session.onEvent = () => {
    before()
    flush()
  }
  flush()
}

function meter(session: SessionStandIn): unknown {
  return {
    sessionId: session.id,
    consumedMicros: session.consumedMicros.toString(),
    heldMicros: session.heldMicros.toString(),
    effectiveMs: 0,
    items: session.receipts.map((jws) => {
      const receipt = readReceipt(jws)?.receipt
      return {
        executionId: receipt?.executionId,
        tool: receipt?.tool,
        sequence: receipt?.sequence,
        receiptHash: sha256Hex(jws),
        effectiveMs: receipt?.effectiveMs,
        cpuMs: 0,
        maxRssBytes: 0,
        costMicros: String(receipt?.costMicros),
        cumulativeMicros: String(receipt?.cumulativeMicros),
        receipt: jws,
        countersignature: 'none',
        recordedAt: EXPIRY,
      }
    }),
  }
}

function inSession(
  parts: Parts,
  rest: string,
  session: SessionStandIn,
  request: Arrived,
  response: ServerResponse,
) {
  if (rest === '' && request.method === 'GET') return viewOf(parts, session)
  if (rest === '' && request.method === 'DELETE') return end(parts, session, response)
  if (rest === '') return act(parts, session, request, response)
  if (rest === '/execute') return submit(parts, session, request, response)
  if (rest === '/events') return followEvents(session, request, response)
  if (rest === '/uploads') return findUpload(session, request)
  if (rest.startsWith('/files/'))
    return carryFile(session, decodeURIComponent(rest.slice(7)), request, response)
  return problem(response, 404, 'not_found')
}

function signIn(parts: Parts, request: Arrived): unknown {
  const { address } = JSON.parse(request.body.toString()) as { address: `0x${string}` }
  const domain = parts.host()
  const fields = {
    domain,
    uri: `http://${domain}`,
    version: '1' as const,
    chainId: CHAIN_ID,
    nonce: 'abcdefgh12345678',
  }
  return { message: parts.lies.challenge ?? createSiweMessage({ address, ...fields }), expiresAt: EXPIRY }
}

function route(parts: Parts, request: Arrived, response: ServerResponse): unknown {
  const { provider, sessions, lies } = parts
  const [path = ''] = request.path.split('?')
  const shown = () => providerView.encode(lies.provider?.(provider.view) ?? provider.view)
  if (path === '/api/auth/challenge') return signIn(parts, request)
  if (path === '/api/auth/verify')
    return { token: 'token-of-the-stand-in', agentId: newId('agent'), expiresAt: EXPIRY }
  if (path === '/api/providers') return { items: [shown()] }
  if (path.startsWith('/api/providers/')) return shown()
  if (!request.headers.authorization) return problem(response, 401, 'unauthorized')
  if (path === '/api/sessions') {
    if (request.method === 'GET') return { items: [...sessions.values()].map((one) => one.view()) }
    const body = openSession.body.decode(JSON.parse(request.body.toString()))
    const session = new SessionStandIn(provider, body.budgetMicros)
    sessions.set(session.id, session)
    return viewOf(parts, session)
  }
  if (path === '/api/metering') {
    const session = sessions.get(new URLSearchParams(request.path.split('?')[1]).get('sessionId') ?? '')
    return session ? meter(session) : problem(response, 404, 'not_found')
  }
  const [, kind = '', id = '', rest = ''] = /^\/api\/(sessions|executions)\/([^/]+)(.*)$/.exec(path) ?? []
  if (kind === 'executions') {
    const run = [...sessions.values()].map((session) => session.runs.get(id)).find(Boolean)
    return run && rest === '' ? showRun(parts, run) : problem(response, 404, 'not_found')
  }
  const session = sessions.get(id)
  return session ? inSession(parts, rest, session, request, response) : problem(response, 404, 'not_found')
}

/** Starts a stand-in for one test. */
export async function startCoordinatorStandIn(
  provider: ProviderStandIn,
  lies: Lies = {},
): Promise<CoordinatorStandIn> {
  const sessions = new Map<string, SessionStandIn>()
  let host = ''
  const parts: Parts = { provider, sessions, lies, host: () => host }
  const loopback = await startLoopback(async (request, response) => {
    if (await lies.intercept?.(request, response)) return undefined
    return route(parts, request, response)
  })
  host = new URL(loopback.url).host
  const session = () => {
    const [only] = sessions.values()
    if (!only) throw new TypeError('no session was opened')
    return only
  }
  return { ...loopback, sessions, lies, session }
}
