import { randomBytes } from 'node:crypto'
import {
  channelId,
  claimDigest,
  costMicros,
  type Dispatch,
  deriveProviderId,
  durationMs,
  type FromNode,
  fromNode,
  type Hex,
  type Id,
  jwsHash,
  makeJws,
  manifestHash,
  micros,
  NODE_SOCKET_PATH,
  offer as offerSchema,
  type PublishedTool,
  type Receipt,
  registerProvider,
  registrationTypedData,
  sha256Hex,
  signReceipt,
  type ToNode,
  toHex,
  toNode,
} from '@orien/protocol'
import { Orien, publicKeyOfSeed, signDigest, signWithSeed } from '@orien/sdk'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { WebSocket } from 'ws'
import { z } from 'zod'
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

/**
 * A node that speaks the real protocol with real keys over a real socket and runs nothing: what it reports is up to
 * the test, the truth included.
 */
export type ScriptedNode = {
  providerId: Id<'provider'>
  nodeSeed: Uint8Array
  /** Work in the order it came; each execution once. */
  dispatches: Dispatch[]
  messages: ToNode[]
  nextDispatch: (index: number) => Promise<Dispatch>
  dispatchOf: (executionId: string) => Promise<Dispatch>
  waitFor: <T extends ToNode['type']>(
    type: T,
    match?: (message: Extract<ToNode, { type: T }>) => boolean,
  ) => Promise<Extract<ToNode, { type: T }>>
  send: (message: FromNode) => void
  /** The receipt that an honest node would write next for this work, with what the test changes. */
  receiptFor: (work: Dispatch, effectiveMs: number, changes?: Partial<Receipt>) => Receipt
  sign: (receipt: Receipt) => string
  /** Signs, advances the chain and sends; resolves with the coordinator's answer. */
  finish: (
    work: Dispatch,
    effectiveMs: number,
    changes?: Partial<Receipt>,
  ) => Promise<Extract<ToNode, { type: 'receiptAck' | 'receiptRefused' }>>
  close: () => void
}

type Options = { rateMicrosPerMinute?: bigint; tools?: readonly PublishedTool[] }

export async function startScriptedNode(stack: Stack, options: Options = {}): Promise<ScriptedNode> {
  const rate = micros(options.rateMicrosPerMinute ?? 600_000n)
  const tools = options.tools ?? [scriptedTool]
  const owner = privateKeyToAccount(generatePrivateKey())
  const operatorKey = generatePrivateKey()
  const nodeSeed = new Uint8Array(randomBytes(32))
  const nodeKey = publicKeyOfSeed(nodeSeed)
  const sign = signWithSeed(nodeSeed)
  const payout = owner.address.toLowerCase() as Hex
  const operator = privateKeyToAccount(operatorKey).address.toLowerCase() as Hex
  const salt = toHex(new Uint8Array(randomBytes(32)))
  const providerId = deriveProviderId(payout, salt)
  const registration = {
    providerId,
    name: 'scripted',
    payout,
    salt,
    nodeKey,
    operator,
    issuedAt: Math.floor(Date.now() / 1000),
  }
  const place = { chainId: stack.chain.chainId, escrow: stack.chain.escrow.toLowerCase() as Hex }
  const deadline = Math.floor(Date.now() / 1000) + 3_600
  const terms = { owner: payout, operator, allowed: true, nonce: 7n, deadline }
  const operatorSignature = await owner.signTypedData({
    domain: {
      name: 'EVM Payment Channel',
      version: '1',
      chainId: place.chainId,
      verifyingContract: place.escrow,
    },
    types: {
      SetOperator: [
        { name: 'owner', type: 'address' },
        { name: 'operator', type: 'address' },
        { name: 'allowed', type: 'bool' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    primaryType: 'SetOperator',
    message: { ...terms, deadline: BigInt(deadline) },
  })
  await new Orien({ baseUrl: stack.url }).call(registerProvider, {
    body: {
      registration,
      signature: await owner.signTypedData(registrationTypedData(registration)),
      rateMicrosPerMinute: rate,
      tools: [...tools],
      operatorAuthorization: { nonce: '7', deadline, signature: operatorSignature },
    },
  })
  const offer = makeJws(
    'orien-offer+jws',
    nodeKey,
    z.encode(offerSchema, {
      v: 1,
      providerId,
      nodeKey,
      payout,
      ...place,
      token: stack.chain.usdc.toLowerCase() as Hex,
      rateMicrosPerMinute: rate,
      split: { providerBps: 9000, platformBps: 700, reserveBps: 300 },
      tools: tools.map((tool) => ({
        id: tool.id,
        manifestHash: manifestHash(tool),
        timeMs: tool.limits.timeMs,
      })),
      isolation: 'namespaces',
      validFrom: new Date(Date.now() - 60_000).toISOString(),
      validUntil: new Date(Date.now() + 86_400_000).toISOString(),
    }),
    sign,
  )
  const socket = new WebSocket(`${stack.url.replace('http', 'ws')}${NODE_SOCKET_PATH}`)
  const messages: ToNode[] = []
  const dispatches: Dispatch[] = []
  const watchers = new Set<() => void>()
  const heads = new Map<string, { sequence: number; hash: string; cumulative: bigint }>()
  const send = (message: FromNode) => socket.send(JSON.stringify(z.encode(fromNode, message)))
  const until = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const watcher = () => {
        const found = look()
        if (found === undefined) return
        watchers.delete(watcher)
        resolve(found)
      }
      watchers.add(watcher)
      watcher()
    })
  const waitFor: ScriptedNode['waitFor'] = (type, match = () => true) =>
    until(() => messages.find((message) => message.type === type && match(message as never)) as never)
  const headOf = (work: Dispatch) =>
    heads.get(work.sessionId) ?? { sequence: 0, hash: work.offerHash, cumulative: 0n }
  const receiptFor: ScriptedNode['receiptFor'] = (work, effectiveMs, changes = {}) => {
    const head = headOf(work)
    const cost = costMicros(work.rateMicrosPerMinute, durationMs(effectiveMs))
    const endedAt = new Date()
    return {
      v: 1,
      executionId: work.executionId,
      sessionId: work.sessionId,
      providerId,
      channelId: channelId(work.channel),
      sequence: head.sequence + 1,
      previous: head.hash,
      grant: work.grant,
      tool: work.tool,
      manifestHash: work.manifestHash,
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
      rateMicrosPerMinute: work.rateMicrosPerMinute,
      holdMicros: work.holdMicros,
      deadlineMs: work.deadlineMs,
      costMicros: cost,
      cumulativeMicros: micros(head.cumulative + cost),
      ...changes,
    }
  }
  const signOne = (receipt: Receipt) => signReceipt(receipt, nodeKey, sign)
  socket.on('message', (data) => {
    const message = z.decode(toNode, JSON.parse(String(data)))
    messages.push(message)
    if (message.type === 'challenge') {
      const proof = makeJws(
        'orien-node+jws',
        nodeKey,
        { providerId, nonce: message.nonce, at: new Date().toISOString() },
        sign,
      )
      send({ type: 'hello', proof, offer, version: 'test', inHand: [] })
    }
    if (
      message.type === 'dispatch' &&
      !dispatches.some((work) => work.executionId === message.work.executionId)
    ) {
      dispatches.push(message.work)
    }
    if (message.type === 'claimRequest') {
      const { requestId, claimMicros, channel, nonce } = message
      const claim = {
        channelId: channelId(channel),
        claimMicros,
        nonce: BigInt(nonce),
        deadline: message.deadline,
      }
      send({
        type: 'claim',
        requestId,
        claimMicros,
        signature: signDigest(operatorKey, claimDigest(channel, 'ClaimAndClose', claim)),
      })
    }
    if (message.type === 'fileList') send({ type: 'files', requestId: message.requestId, items: [] })
    if (message.type === 'fileRead' || message.type === 'fileWrite') {
      send({ type: 'failure', requestId: message.requestId, code: 'not_found', detail: 'there is no workspace here' })
    }
    for (const watcher of [...watchers]) watcher()
  })
  await waitFor('welcome')
  const beat = setInterval(
    () => send({ type: 'heartbeat', at: new Date().toISOString(), running: 0, queued: 0 }),
    5_000,
  )
  socket.on('close', () => clearInterval(beat))
  const node: ScriptedNode = {
    providerId,
    nodeSeed,
    dispatches,
    messages,
    nextDispatch: (index) => until(() => dispatches[index]),
    dispatchOf: (executionId) => until(() => dispatches.find((work) => work.executionId === executionId)),
    waitFor,
    send,
    receiptFor,
    sign: signOne,
    finish: async (work, effectiveMs, changes) => {
      const receipt = receiptFor(work, effectiveMs, changes)
      const jws = signOne(receipt)
      heads.set(work.sessionId, {
        sequence: receipt.sequence,
        hash: jwsHash(jws),
        cumulative: receipt.cumulativeMicros,
      })
      send({ type: 'receipt', executionId: work.executionId, jws })
      return until(() =>
        messages.find(
          (message): message is Extract<ToNode, { type: 'receiptAck' | 'receiptRefused' }> =>
            (message.type === 'receiptAck' || message.type === 'receiptRefused') &&
            message.executionId === work.executionId,
        ),
      )
    },
    close: () => socket.close(),
  }
  await authorised(stack, providerId)
  return node
}

/** The permission of the operator key goes through the relayer first. */
async function authorised(stack: Stack, providerId: Id<'provider'>): Promise<void> {
  const { createPool } = await import('@orien/coordinator')
  const pool = createPool({ url: stack.database.url, connections: 1 })
  try {
    for (;;) {
      const { rows } = await pool.query(
        'select is_operator_authorised as done from providers where id = $1',
        [providerId],
      )
      if (rows[0]?.done) return
      await new Promise((resolve) => setImmediate(resolve))
    }
  } finally {
    await pool.end()
  }
}
