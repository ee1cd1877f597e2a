import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  base64url,
  decodeJws,
  type FromNode,
  fromNode,
  isSignedBy,
  jwsHash,
  makeJws,
  NODE_SOCKET_PATH,
  nodeProof,
  type Receipt,
  readReceipt,
  registerProvider,
  registrationDigest,
  type ToNode,
  toNode,
} from '@orien/protocol'
import { publicKeyOfSeed, recoverSigner, signWithSeed, verifyEd25519 } from '@orien/sdk'
import { type WebSocket, WebSocketServer } from 'ws'
import { createInbox, type Inbox } from './inbox.ts'

type Of<T extends FromNode['type']> = Extract<FromNode, { type: T }>

/**
 * A coordinator's side of the wire for tests, scripted by the test: it registers, challenges and checks as a real one
 * would, keeps everything that comes, and does nothing else by itself but acknowledge receipts when told to.
 */
export type TestCoordinator = {
  url: string
  /** All messages of all connections, in their order. */
  received: FromNode[]
  registrations: number
  /** Acknowledge receipts as they come. */
  acknowledges: boolean
  /** How the next registration is answered instead of being accepted. */
  refuseRegistration?: { status: number; code: string; retryable: boolean }
  /** Stops taking anything from the socket, as a stalled network would. */
  pauseReading(): void
  resumeReading(): void
  send(message: ToNode): void
  sendText(text: string): void
  /** The next message of a type that nobody has waited for yet. */
  next<T extends FromNode['type']>(type: T, matches?: (message: Of<T>) => boolean): Promise<Of<T>>
  acknowledge(jws: string): void
  /** As if its database had been lost. */
  forgetNodes(): void
  /** Cuts the connection without a word. */
  drop(): void
  close(): Promise<void>
}

const KEY = new Uint8Array(32).fill(7)
const PUBLIC_KEY = publicKeyOfSeed(KEY)
const NONCE = base64url(new Uint8Array(24).fill(9))

/** What changes while a coordinator is up. */
type Inside = { inbox: Inbox<FromNode>; nodeKeys: Map<string, string>; socket?: WebSocket }

export async function startCoordinator(): Promise<TestCoordinator> {
  const inside: Inside = { inbox: createInbox(), nodeKeys: new Map() }
  const http = createServer((request, response) => {
    let text = ''
    request.on('data', (part) => {
      text += part
    })
    request.on('end', () => {
      const isRegistration = request.method === 'POST'
      const { status, body } = isRegistration
        ? register(coordinator, inside, text)
        : { status: 404, body: {} }
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  const server = new WebSocketServer({ server: http, path: NODE_SOCKET_PATH })
  server.on('connection', (connected) => attach(coordinator, inside, connected))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const send = (message: ToNode) => inside.socket?.send(JSON.stringify(toNode.encode(message)))
  const coordinator: TestCoordinator = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    received: [],
    registrations: 0,
    acknowledges: true,
    pauseReading: () => inside.socket?.pause(),
    resumeReading: () => inside.socket?.resume(),
    send,
    sendText: (text) => inside.socket?.send(text),
    next: (type, matches = () => true) =>
      inside.inbox.take((message) => message.type === type && matches(message as never)) as Promise<never>,
    acknowledge: (jws) => send(acknowledgement(jws)),
    forgetNodes: () => inside.nodeKeys.clear(),
    drop: () => inside.socket?.terminate(),
    close: async () => {
      for (const client of server.clients) client.terminate()
      server.close()
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }
  return coordinator
}

function register(
  coordinator: TestCoordinator,
  { nodeKeys }: Inside,
  text: string,
): { status: number; body: object } {
  coordinator.registrations += 1
  const refusal = coordinator.refuseRegistration
  if (refusal) return { status: refusal.status, body: refusal }
  const { registration, signature } = registerProvider.body.decode(JSON.parse(text))
  if (recoverSigner(registrationDigest(registration), signature) !== registration.payout)
    return { status: 401, body: { code: 'signature_invalid', retryable: false } }
  nodeKeys.set(registration.providerId, registration.nodeKey)
  return { status: 201, body: {} }
}

function attach(coordinator: TestCoordinator, inside: Inside, socket: WebSocket): void {
  inside.socket = socket
  socket.send(JSON.stringify({ type: 'challenge', nonce: NONCE }))
  socket.on('message', (data) => {
    const message = fromNode.decode(JSON.parse(String(data)))
    coordinator.received.push(message)
    if (message.type === 'hello') coordinator.send(answerHello(inside, message))
    if (message.type === 'receipt' && coordinator.acknowledges) coordinator.acknowledge(message.jws)
    inside.inbox.put(message)
  })
}

function answerHello({ nodeKeys }: Inside, hello: Of<'hello'>): ToNode {
  const decoded = decodeJws('orien-node+jws', hello.proof)
  const proof = nodeProof.parse(decoded?.payload)
  const key = nodeKeys.get(proof.providerId) ?? ''
  if (!decoded || proof.nonce !== NONCE || !isSignedBy(decoded, key, verifyEd25519))
    return { type: 'refused', code: 'signature_invalid', detail: 'the proof is wrong' }
  const serverTime = new Date().toISOString()
  return { type: 'welcome', providerId: proof.providerId, serverTime, heartbeatEveryMs: 200 }
}

function acknowledgement(jws: string): ToNode {
  const payload = { v: 1, receiptHash: jwsHash(jws), recordedAt: new Date().toISOString() }
  const countersignature = makeJws('orien-countersignature+jws', PUBLIC_KEY, payload, signWithSeed(KEY))
  return { type: 'receiptAck', executionId: receiptOf(jws).executionId, countersignature }
}

/** A receipt of the wire, which has to be one. */
export function receiptOf(jws: string): Receipt {
  const read = readReceipt(jws)
  if (!read) throw new TypeError('this is no receipt')
  return read.receipt
}
