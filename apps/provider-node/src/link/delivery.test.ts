import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FromNode, fromNode, makeId } from '@orien/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { PendingReceipt } from '../journal/record.ts'
import { NODE_LIMITS } from '../limits.ts'
import { openSpools, type Spools } from '../output/spool.ts'
import { systemRandom } from '../random.ts'
import { createInbox, type Inbox } from '../testing/inbox.ts'
import { removeDir } from '../testing/node.ts'
import { createConnection } from './connection.ts'
import { Delivery } from './delivery.ts'

let dir = ''
let spools: Spools
let http: ReturnType<typeof createServer>
let server: WebSocketServer

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-delivery-'))
  spools = await openSpools(dir, new Set())
  http = createServer()
  server = new WebSocketServer({ server: http })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
})
afterEach(async () => {
  for (const client of server.clients) client.terminate()
  server.close()
  http.close()
  await once(http, 'close')
  await removeDir(dir)
})

/** Both ends of a real socket; the far one keeps what comes. */
async function connect() {
  const arrived = once(server, 'connection')
  const near = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`, {
    perMessageDeflate: false,
  })
  const connection = createConnection(near)
  const [far] = (await arrived) as [WebSocket]
  const inbox: Inbox<FromNode> = createInbox()
  const received: FromNode[] = []
  far.on('message', (data) => {
    const message = fromNode.decode(JSON.parse(String(data)))
    received.push(message)
    inbox.put(message)
  })
  if (near.readyState !== near.OPEN) await once(near, 'open')
  return { near, far, connection, inbox, received }
}

const newId = <K extends 'execution' | 'session'>(kind: K) => makeId(kind, 0, systemRandom.bytes(10))

function setUp() {
  const pendingReceipts = new Map<string, PendingReceipt>()
  const delivery = new Delivery({ pendingReceipts })
  const sessionId = newId('session')
  const begin = () => {
    const executionId = newId('execution')
    const spool = spools.create(executionId)
    delivery.begin({ executionId, sessionId, spool })
    const sign = () => {
      const sequence = pendingReceipts.size + 1
      pendingReceipts.set(executionId, { executionId, sessionId, sequence, jws: `receipt ${sequence}` })
      delivery.signed(executionId)
    }
    return { executionId, spool, sign }
  }
  return { delivery, begin, pendingReceipts }
}

const logBytes = (messages: readonly FromNode[]) =>
  Buffer.concat(
    messages.flatMap((message) => (message.type === 'log' ? [Buffer.from(message.data, 'base64')] : [])),
  )
const typesOf = (messages: readonly FromNode[]) => messages.map(({ type }) => type)

describe('telling the coordinator of runs', () => {
  test('start, output and receipt arrive in this order, and a receipt never overtakes the one before it', async () => {
    const { delivery, begin } = setUp()
    const { connection, inbox, received } = await connect()
    delivery.attach(connection)
    const [one, two] = [begin(), begin()]
    delivery.started(one.executionId, '2026-01-01T00:00:00.000Z')
    one.sign()
    await two.spool.end()
    two.sign()
    await one.spool.write({ stream: 'stdout', bytes: Buffer.from('late') })
    expect(typesOf(received)).not.toContain('receipt')
    await one.spool.end()
    const jws = [
      await inbox.take(({ type }) => type === 'receipt'),
      await inbox.take(({ type }) => type === 'receipt'),
    ]
    expect(jws).toMatchObject([{ jws: 'receipt 1' }, { jws: 'receipt 2' }])
    expect(typesOf(received)).toEqual(['started', 'log', 'receipt', 'receipt'])
  })

  test('a socket that nobody reads holds output on the disk: memory stays bounded, nothing is lost, the tool is not held back', async () => {
    const { delivery, begin } = setUp()
    const { near, far, connection, inbox, received } = await connect()
    delivery.attach(connection)
    far.pause()
    const runs = [begin(), begin(), begin()]
    const part = systemRandom.bytes(65_536)
    let highestBytes = 0
    for (let written = 0; written < 160; written += 1) {
      for (const { spool } of runs) await spool.write({ stream: 'stdout', bytes: part })
      highestBytes = Math.max(highestBytes, near.bufferedAmount)
    }
    for (const run of runs) {
      await run.spool.end()
      run.sign()
    }
    expect(highestBytes).toBeLessThan(4 * NODE_LIMITS.sendBufferBytes)
    far.resume()
    for (const _run of runs) await inbox.take(({ type }) => type === 'receipt')
    for (const { executionId } of runs) {
      const own = received.filter(
        (message) => 'executionId' in message && message.executionId === executionId,
      )
      expect(logBytes(own).length).toBe(160 * 65_536)
    }
  })

  test('on a new connection all output is said again from the start, and unacknowledged receipts are said again', async () => {
    const { delivery, begin } = setUp()
    const first = await connect()
    delivery.attach(first.connection)
    const run = begin()
    await run.spool.write({ stream: 'stdout', bytes: Buffer.from('arrived ') })
    await first.inbox.take(({ type }) => type === 'log')
    first.near.terminate()
    await once(first.far, 'close')
    await run.spool.write({ stream: 'stdout', bytes: Buffer.from('missed') })
    await run.spool.end()
    run.sign()
    const second = await connect()
    delivery.attach(second.connection)
    await second.inbox.take(({ type }) => type === 'receipt')
    expect(second.received).toMatchObject([
      { type: 'log', offset: 0 },
      { type: 'log', offset: 8 },
      { type: 'receipt', jws: 'receipt 1' },
    ])
    second.near.terminate()
    await once(second.far, 'close')
    const third = await connect()
    delivery.attach(third.connection)
    expect(await third.inbox.take(({ type }) => type === 'receipt')).toMatchObject({ jws: 'receipt 1' })
  })

  test('receipts that nobody answered are said again in their order, and those just sent are not', async () => {
    const { delivery, begin } = setUp()
    const { connection, inbox, received } = await connect()
    delivery.attach(connection)
    const runs = [begin(), begin()]
    for (const run of runs) {
      await run.spool.end()
      run.sign()
    }
    for (const _run of runs) await inbox.take(({ type }) => type === 'receipt')
    delivery.repeatUnanswered()
    await connection.ping()
    expect(received).toHaveLength(2)
    delivery.repeatUnanswered()
    for (const _run of runs) await inbox.take(({ type }) => type === 'receipt')
    expect(received.slice(2)).toMatchObject([{ jws: 'receipt 1' }, { jws: 'receipt 2' }])
    for (const { executionId } of runs) delivery.done(executionId)
    delivery.repeatUnanswered()
    await connection.ping()
    expect(received).toHaveLength(4)
  })

  test('what is done is not told again, and is no longer in hand', async () => {
    const { delivery, begin } = setUp()
    const [one, two] = [begin(), begin()]
    for (const run of [one, two]) {
      await run.spool.end()
      run.sign()
    }
    delivery.done(one.executionId)
    expect(delivery.inHand()).toEqual([two.executionId])
    const { connection, inbox, received } = await connect()
    delivery.attach(connection)
    await inbox.take(({ type }) => type === 'receipt')
    expect(received).toMatchObject([{ type: 'receipt', jws: 'receipt 2' }])
  })
})

describe('a connection', () => {
  test('whose other side reads nothing at all is given up before it fills the memory', async () => {
    const { near, far, connection } = await connect()
    far.pause()
    const closed = once(near, 'close')
    const data = 'x'.repeat(500_000)
    const message: FromNode = {
      type: 'log',
      executionId: newId('execution'),
      stream: 'stdout',
      offset: 0,
      data,
    }
    let sent = 0
    while (connection.send(message)) sent += data.length
    await closed
    expect(sent).toBeLessThan(3 * NODE_LIMITS.sendBufferHardBytes)
    expect(connection.signal.aborted).toBe(true)
    expect([
      connection.send(message),
      await connection.inTurn(async () => {}),
      await connection.ping(),
    ]).toEqual([false, false, false])
  })
})
