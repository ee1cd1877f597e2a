import { createPool } from '@orien/coordinator'
import {
  batchDigest,
  channelId,
  costMicros,
  type Dispatch,
  durationMs,
  type FromNode,
  fromNode,
  type Id,
  jwsHash,
  makeJws,
  micros,
  NODE_SOCKET_PATH,
  type PublishedTool,
  type Receipt,
  sha256Hex,
  signReceipt,
  type ToNode,
  toNode,
} from '@orien/protocol'
import { signDigest } from '@orien/sdk'
import { vi } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { registerScripted, type ScriptedOwner } from './scriptedOwner.ts'
import type { Stack } from './stack.ts'

/** A tool that nobody has to run: the test decides when and how it ends. */
export const scriptedTool: PublishedTool = {
  id: 'block',
  description: 'Blocks until the test ends it',
  arguments: { properties: { note: { type: 'string', maxLength: 200 } }, required: [] },
  limits: { timeMs: 60_000, memoryBytes: 64 << 20, processes: 8, diskBytes: 1 << 20, outputBytes: 1 << 20 },
  network: 'none',
  outputs: [],
}

export const RATE = 600_000n

type Answer = Extract<ToNode, { type: 'receiptAck' | 'receiptRefused' }>

/**
 * A node that speaks the real protocol with real keys over a real socket and runs nothing: what it reports is up to
 * the test, the truth included.
 */
export type ScriptedNode = {
  providerId: Id<'provider'>
  owner: ScriptedOwner['account']
  nodeKey: string
  signBytes: ScriptedOwner['sign']
  /** Work in the order it came; each execution once. */
  dispatches: readonly Dispatch[]
  nextDispatch: (index: number) => Promise<Dispatch>
  dispatchOf: (executionId: string) => Promise<Dispatch>
  waitFor: <T extends ToNode['type']>(type: T, match?: Match<T>) => Promise<Extract<ToNode, { type: T }>>
  /** Everything of a type that has come so far. */
  received: <T extends ToNode['type']>(type: T) => readonly Extract<ToNode, { type: T }>[]
  /** Looks again at every message until there is something. */
  until: <T>(look: () => T | undefined) => Promise<T>
  send: (message: FromNode) => void
  /** The receipt that an honest node would write next for this work, with what the test changes. */
  receiptFor: (work: Dispatch, effectiveMs: number, changes?: Partial<Receipt>) => Receipt
  sign: (receipt: Receipt) => string
  /** Signs, advances the chain and sends, with what a node may tell beside it; resolves with the coordinator's answer. */
  finish: (
    work: Dispatch,
    effectiveMs: number,
    changes?: Partial<Receipt>,
    report?: unknown,
  ) => Promise<Answer>
  close: () => void
  /** The same node on a new connection, with these runs in hand; it goes on with its chains of receipts. */
  reconnect: (inHand: readonly Id<'execution'>[]) => Promise<ScriptedNode>
}

type Match<T extends ToNode['type']> = (message: Extract<ToNode, { type: T }>) => boolean

/** What came over the socket, and who waits for more. */
type Inbox = {
  messages: ToNode[]
  dispatches: Dispatch[]
  until: <T>(look: () => T | undefined) => Promise<T>
  take: (message: ToNode) => void
}

function openInbox(): Inbox {
  const messages: ToNode[] = []
  const dispatches: Dispatch[] = []
  const watchers = new Set<() => void>()
  return {
    messages,
    dispatches,
    until: (look) =>
      new Promise((resolve) => {
        const watcher = () => {
          const found = look()
          if (found === undefined) return
          watchers.delete(watcher)
          resolve(found)
        }
        watchers.add(watcher)
        watcher()
      }),
    take: (message) => {
      messages.push(message)
      const isNew =
        message.type === 'dispatch' &&
        !dispatches.some((work) => work.executionId === message.work.executionId)
      if (isNew) dispatches.push(message.work)
      for (const watcher of [...watchers]) watcher()
    },
  }
}

/** Who connects, and what it says that it has in hand. */
type Identity = { owner: ScriptedOwner; inHand: readonly Id<'execution'>[]; heads: Map<string, Head> }

/** What a node has to answer by itself for the rest of the system to go on. */
function reply({ owner, inHand }: Identity, message: ToNode, send: (message: FromNode) => void): void {
  switch (message.type) {
    case 'challenge': {
      const { providerId, nodeKey, sign, offer } = owner
      const proof = {
        providerId,
        nonce: message.nonce,
        at: new Date().toISOString(),
        coordinator: 'localhost',
      }
      send({
        type: 'hello',
        proof: makeJws('orien-node+jws', nodeKey, proof, sign),
        offer,
        version: 'test',
        inHand: [...inHand],
      })
      return
    }
    case 'claimRequest': {
      const { requestId, claims, deadline } = message
      const [first] = claims
      if (!first) return
      const entries = claims.map(({ channel, claimMicros }) => ({
        channelId: channelId(channel),
        claimMicros,
      }))
      const terms = { payee: first.channel.payee, claims: entries, deadline }
      const signature = signDigest(owner.operatorKey, batchDigest(first.channel, 'CloseBatch', terms))
      send({ type: 'claim', requestId, signature, refused: [] })
      return
    }
    case 'fileList':
      send({ type: 'files', requestId: message.requestId, items: [], hasMore: false })
      return
    case 'fileFind':
    case 'fileRead':
    case 'fileWrite':
      send({
        type: 'failure',
        requestId: message.requestId,
        code: 'not_found',
        detail: 'there is no workspace here',
      })
  }
}

type Head = { sequence: number; hash: string; cumulative: bigint }

function honestReceipt(providerId: Id<'provider'>, work: Dispatch, head: Head, effectiveMs: number): Receipt {
  const { executionId, sessionId, grant, tool, manifestHash, rateMicrosPerMinute, holdMicros, deadlineMs } =
    work
  const cost = costMicros(rateMicrosPerMinute, durationMs(effectiveMs))
  const endedAt = new Date()
  return {
    v: 1,
    ...{
      executionId,
      sessionId,
      providerId,
      grant,
      tool,
      manifestHash,
      rateMicrosPerMinute,
      holdMicros,
      deadlineMs,
    },
    channelId: channelId(work.channel),
    sequence: head.sequence + 1,
    previous: head.hash,
    argumentsHash: sha256Hex(work.argumentsSalt),
    inputs: [],
    outputs: [],
    logHash: sha256Hex(''),
    logBytes: 0,
    isolation: 'namespaces',
    startedAt: new Date(endedAt.getTime() - effectiveMs).toISOString(),
    endedAt: endedAt.toISOString(),
    effectiveMs,
    cpuMs: 0,
    maxRssBytes: 0,
    sources: { wall: 'helper', cpu: 'helper', memory: 'helper' },
    exitCode: 0,
    status: 'completed',
    costMicros: cost,
    cumulativeMicros: micros(head.cumulative + cost),
  }
}

/** Registers a provider, connects as its node and resolves when sessions can be opened on it. */
export async function startScriptedNode(stack: Stack, tool = scriptedTool): Promise<ScriptedNode> {
  const owner = await registerScripted(stack, [tool], RATE)
  const node = await connectScripted(stack, { owner, inHand: [], heads: new Map() })
  await authorised(stack, owner.providerId)
  return node
}

async function connectScripted(stack: Stack, identity: Identity): Promise<ScriptedNode> {
  const { owner, heads } = identity
  const { providerId, nodeKey, sign } = owner
  const socket = new WebSocket(`${stack.url.replace('http', 'ws')}${NODE_SOCKET_PATH}`)
  const { messages, dispatches, until, take } = openInbox()
  const send = (message: FromNode) => socket.send(JSON.stringify(z.encode(fromNode, message)))
  socket.on('message', (data) => {
    const message = z.decode(toNode, JSON.parse(String(data)))
    reply(identity, message, send)
    take(message)
  })
  const waitFor: ScriptedNode['waitFor'] = (type, match = () => true) =>
    until(() => messages.find((message) => message.type === type && match(message as never)) as never)
  await waitFor('welcome')
  const beat = setInterval(
    () => send({ type: 'heartbeat', at: new Date().toISOString(), running: 0, queued: 0 }),
    5_000,
  )
  socket.on('close', () => clearInterval(beat))
  const receiptFor: ScriptedNode['receiptFor'] = (work, effectiveMs, changes = {}) => {
    const head = heads.get(work.sessionId) ?? { sequence: 0, hash: work.offerHash, cumulative: 0n }
    return { ...honestReceipt(providerId, work, head, effectiveMs), ...changes }
  }
  const isAnswerTo =
    (executionId: string) =>
    (message: ToNode): message is Answer =>
      (message.type === 'receiptAck' || message.type === 'receiptRefused') &&
      message.executionId === executionId
  return {
    providerId,
    owner: owner.account,
    nodeKey,
    signBytes: sign,
    dispatches,
    nextDispatch: (index) => until(() => dispatches[index]),
    dispatchOf: (executionId) => until(() => dispatches.find((work) => work.executionId === executionId)),
    waitFor,
    received: (type) => messages.filter((message) => message.type === type) as never,
    until,
    send,
    receiptFor,
    sign: (receipt) => signReceipt(receipt, nodeKey, sign),
    finish: (work, effectiveMs, changes, report) => {
      const receipt = receiptFor(work, effectiveMs, changes)
      const jws = signReceipt(receipt, nodeKey, sign)
      const { sequence, cumulativeMicros } = receipt
      heads.set(work.sessionId, { sequence, hash: jwsHash(jws), cumulative: cumulativeMicros })
      send({ type: 'receipt', executionId: work.executionId, jws, report })
      return until(() => messages.find(isAnswerTo(work.executionId)))
    },
    close: () => socket.close(),
    reconnect: (inHand) => connectScripted(stack, { ...identity, inHand }),
  }
}

/** The permission of the operator key goes through the relayer first. */
async function authorised(stack: Stack, providerId: Id<'provider'>): Promise<void> {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const look = async () => {
    const { rows } = await pool.query('select is_operator_authorised as done from providers where id = $1', [
      providerId,
    ])
    if (!rows[0]?.done) throw new TypeError('the operator is not authorised yet')
  }
  try {
    await vi.waitFor(look, { timeout: 30_000, interval: 20 })
  } finally {
    await pool.end()
  }
}
