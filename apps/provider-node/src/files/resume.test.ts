import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type FromNode, LIMITS, sha256Hex, type ToNode } from '@orien/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Clock, systemClock } from '../clock.ts'
import type { TestSession } from '../testing/agent.ts'
import { startWorld, type World } from '../testing/world.ts'

const IDLE_MS = 7_777_777
const KEPT_MS = 8_888_888
const FILE = Buffer.from('0123456789'.repeat(20_000))
const SHA256 = sha256Hex(FILE)
const HALF = 100_000

/** The system's clock, but for the two waits of a transfer: those end when the test says so. */
const held = new Map<number, Set<() => void>>([
  [IDLE_MS, new Set()],
  [KEPT_MS, new Set()],
])
const clock: Clock = {
  ...systemClock,
  after: (delayMs, callback) => {
    const waiting = held.get(delayMs)
    if (!waiting) return systemClock.after(delayMs, callback)
    waiting.add(callback)
    return () => void waiting.delete(callback)
  },
}
const waitingFor = (delayMs: number) => held.get(delayMs) ?? new Set()
const elapse = (delayMs: number) => {
  for (const callback of [...waitingFor(delayMs)]) callback()
}

let world: World
let session: TestSession
let lastRequest = 0
beforeAll(async () => {
  world = await startWorld({ clock, timing: { transferIdleMs: IDLE_MS, uploadKeptMs: KEPT_MS } })
})
afterAll(() => world.close())
beforeEach(() => {
  session = world.newSession()
})

type Of<T extends FromNode['type']> = Extract<FromNode, { type: T }>
type Numbered = Extract<ToNode, { requestId: number }>
type Word = Numbered extends infer W ? (W extends Numbered ? Omit<W, 'requestId'> : never) : never

/** One numbered conversation, as a coordinator holds it. */
function talk() {
  lastRequest += 1
  const requestId = lastRequest
  const { coordinator } = world
  return {
    say: (word: Word) => coordinator.send({ ...word, requestId } as ToNode),
    hear: <
      T extends Of<
        | 'fileReady'
        | 'filePart'
        | 'fileEnd'
        | 'fileFound'
        | 'failure'
        | 'fileOpened'
        | 'fileChunk'
        | 'fileCredit'
      >['type'],
    >(
      type: T,
    ) => coordinator.next(type, (message) => (message as { requestId: number }).requestId === requestId),
  }
}

function begin(name: string, fromByte: number, toByte = FILE.length) {
  const conversation = talk()
  const { sessionId } = session
  conversation.say({
    type: 'fileWrite',
    sessionId,
    name,
    bytes: FILE.length,
    fromByte,
    toByte,
    sha256: SHA256,
  })
  return conversation
}

async function send({ say, hear }: ReturnType<typeof talk>, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += LIMITS.logChunkBytes) {
    const chunk = FILE.subarray(at, Math.min(at + LIMITS.logChunkBytes, to))
    say({ type: 'fileChunk', data: chunk.toString('base64') })
    await hear('fileCredit')
  }
}

async function found(name: string) {
  const { say, hear } = talk()
  const { sessionId } = session
  say({ type: 'fileFind', sessionId, name, bytes: FILE.length, sha256: SHA256 })
  return hear('fileFound')
}

/** Sends the first half and gives up. */
async function halfOf(name: string): Promise<void> {
  const upload = begin(name, 0)
  await upload.hear('fileReady')
  await send(upload, 0, HALF)
  upload.say({ type: 'fileAbort' })
}

async function finish(name: string, fromByte: number): Promise<Of<'fileEnd'>> {
  const upload = begin(name, fromByte)
  expect(await upload.hear('fileReady')).toMatchObject({ receivedBytes: fromByte })
  await send(upload, fromByte, FILE.length)
  upload.say({ type: 'fileEnd', sha256: SHA256 })
  return upload.hear('fileEnd')
}

describe('an upload that was cut off', () => {
  test('goes on where it stopped, and is whole by its hash', async () => {
    await halfOf('file')
    expect(await found('file')).toMatchObject({ receivedBytes: HALF, isComplete: false })
    expect(await finish('file', HALF)).toMatchObject({ sha256: SHA256, bytes: FILE.length })
    expect(await found('file')).toMatchObject({ receivedBytes: FILE.length, isComplete: true })
  })

  test('survives the loss of the connection', async () => {
    const upload = begin('file', 0)
    await upload.hear('fileReady')
    await send(upload, 0, HALF)
    world.coordinator.drop()
    await world.coordinator.next('hello')
    await world.coordinator.next('heartbeat')
    expect(await finish('file', HALF)).toMatchObject({ sha256: SHA256 })
  })

  test('is not written to at another place than where it stopped', async () => {
    await halfOf('file')
    const upload = begin('file', HALF + 1)
    expect(await upload.hear('fileReady')).toMatchObject({ receivedBytes: HALF })
    upload.say({ type: 'fileAbort' })
    expect(await finish('file', HALF)).toMatchObject({ sha256: SHA256 })
  })

  test('is taken over from a transfer that nobody feeds any more', async () => {
    const dead = begin('file', 0)
    await dead.hear('fileReady')
    await send(dead, 0, HALF)
    expect(await finish('file', HALF)).toMatchObject({ sha256: SHA256 })
  })

  test('comes in parts', async () => {
    const first = begin('file', 0, HALF)
    await first.hear('fileReady')
    await send(first, 0, HALF)
    first.say({ type: 'fileEnd' })
    expect(await first.hear('filePart')).toMatchObject({ receivedBytes: HALF })
    expect(await finish('file', HALF)).toMatchObject({ sha256: SHA256 })
  })

  test('is dropped when it stands still, and still goes on', async () => {
    const upload = begin('file', 0)
    await upload.hear('fileReady')
    await send(upload, 0, HALF)
    await vi.waitFor(() => expect(waitingFor(IDLE_MS).size).toBe(1))
    elapse(IDLE_MS)
    expect(await upload.hear('failure')).toMatchObject({ code: 'timed_out' })
    expect(await finish('file', HALF)).toMatchObject({ sha256: SHA256 })
  })

  test('is thrown away when nobody continues it for long', async () => {
    await halfOf('file')
    await vi.waitFor(() => expect(waitingFor(KEPT_MS).size).toBeGreaterThan(0))
    elapse(KEPT_MS)
    expect(await found('file')).toMatchObject({ receivedBytes: 0, isComplete: false })
    expect(await finish('file', 0)).toMatchObject({ sha256: SHA256 })
  })

  test('with other bytes than announced is thrown away whole', async () => {
    const upload = begin('file', 0)
    await upload.hear('fileReady')
    await send(upload, 0, HALF)
    for (let at = HALF; at < FILE.length; at += HALF) {
      upload.say({ type: 'fileChunk', data: Buffer.alloc(HALF, 'x').toString('base64') })
    }
    upload.say({ type: 'fileEnd', sha256: SHA256 })
    expect(await upload.hear('failure')).toMatchObject({ code: 'digest_mismatch' })
    expect(await found('file')).toMatchObject({ receivedBytes: 0, isComplete: false })
  })

  test('of which a session has too many, the longest waiting is given up for a new one', async () => {
    for (let index = 0; index < 9; index += 1) await halfOf(`file-${index}`)
    await vi.waitFor(async () => expect(await found('file-0')).toMatchObject({ receivedBytes: 0 }))
    expect(await found('file-8')).toMatchObject({ receivedBytes: HALF })
  })
})

describe('a download', () => {
  const read = (fromByte: number, ifSha256?: string) => {
    const conversation = talk()
    const condition = ifSha256 === undefined ? {} : { ifSha256 }
    conversation.say({ type: 'fileRead', sessionId: session.sessionId, name: 'file', fromByte, ...condition })
    return conversation
  }
  beforeEach(async () => {
    await finish('file', 0)
  })

  test('goes on from an offset when the file is still the same', async () => {
    const rest = read(FILE.length - 5, SHA256)
    expect(await rest.hear('fileOpened')).toMatchObject({ fromByte: FILE.length - 5, sha256: SHA256 })
    const { data } = await rest.hear('fileChunk')
    expect(Buffer.from(data, 'base64').toString()).toBe('56789')
    expect(await rest.hear('fileEnd')).toMatchObject({ bytes: 5 })
  })

  test('begins anew when the file is another one', async () => {
    const all = read(5, sha256Hex('what it was before'))
    expect(await all.hear('fileOpened')).toMatchObject({ fromByte: 0, sha256: SHA256 })
    all.say({ type: 'fileAbort' })
  })

  test('from behind the end is refused', async () => {
    expect(await read(FILE.length).hear('failure')).toMatchObject({ code: 'range_not_satisfiable' })
  })
})

describe('the end of a session', () => {
  test('ends its transfers, and removes its workspace with what had arrived', async () => {
    const before = readdirSync(join(world.dataDir, 'workspaces'))
    const upload = begin('file', 0)
    await upload.hear('fileReady')
    await send(upload, 0, HALF)
    const [dir = ''] = readdirSync(join(world.dataDir, 'workspaces')).filter((name) => !before.includes(name))
    expect(dir).not.toBe('')
    world.coordinator.send({ type: 'endSession', sessionId: session.sessionId })
    expect(await upload.hear('failure')).toMatchObject({ code: 'workspace_gone' })
    await vi.waitFor(() => expect(existsSync(join(world.dataDir, 'workspaces', dir))).toBe(false))
    expect(await begin('file', 0).hear('failure')).toMatchObject({ code: 'workspace_gone' })
    expect(existsSync(join(world.dataDir, 'workspaces', dir))).toBe(false)
  })
})

describe('a node that stops', () => {
  afterAll(async () => {
    await world.close()
    world = await startWorld({ clock, timing: { transferIdleMs: IDLE_MS, uploadKeptMs: KEPT_MS } })
  })

  test('waits for no upload that might have gone on', async () => {
    await halfOf('file')
    await vi.waitFor(() => expect(waitingFor(KEPT_MS).size).toBeGreaterThan(0))
    await world.node.stop()
    expect(waitingFor(KEPT_MS).size).toBe(0)
  })
})
