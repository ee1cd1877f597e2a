import { createHash } from 'node:crypto'
import { FILE_WINDOW_CHUNKS, LIMITS, sha256Hex } from '@orien/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemRandom } from '../random.ts'
import type { TestSession } from '../testing/agent.ts'
import { startWorld, type World } from '../testing/world.ts'

let world: World
let session: TestSession
let lastRequest = 0
beforeAll(async () => {
  world = await startWorld()
  session = world.newSession()
})
afterAll(() => world.close())

const newRequest = () => {
  lastRequest += 1
  return lastRequest
}
const chunksOf = (bytes: Uint8Array) => {
  const chunks: string[] = []
  for (let at = 0; at < bytes.length; at += LIMITS.logChunkBytes)
    chunks.push(Buffer.from(bytes.subarray(at, at + LIMITS.logChunkBytes)).toString('base64'))
  return chunks
}

/** Sends a file as a coordinator does: a window ahead, then as credit comes. */
async function upload(
  name: string,
  bytes: Uint8Array,
  sha256 = sha256Hex(bytes),
  announcedBytes = bytes.length,
) {
  const requestId = newRequest()
  const { coordinator } = world
  coordinator.send({
    type: 'fileWrite',
    requestId,
    sessionId: session.sessionId,
    name,
    bytes: announcedBytes,
    fromByte: 0,
    toByte: announcedBytes,
  })
  let credit = FILE_WINDOW_CHUNKS
  for (const data of chunksOf(bytes)) {
    if (credit === 0)
      credit += (await coordinator.next('fileCredit', (message) => message.requestId === requestId)).chunks
    coordinator.send({ type: 'fileChunk', requestId, data })
    credit -= 1
  }
  coordinator.send({ type: 'fileEnd', requestId, sha256 })
  return Promise.race([
    coordinator.next('fileEnd', (message) => message.requestId === requestId),
    coordinator.next('failure', (message) => message.requestId === requestId),
  ])
}

async function download(name: string, sessionId = session.sessionId) {
  const requestId = newRequest()
  const { coordinator } = world
  coordinator.send({ type: 'fileRead', requestId, sessionId, name, fromByte: 0 })
  const isOurs = (message: { requestId: number }) => message.requestId === requestId
  const opened = await Promise.race([
    coordinator.next('fileOpened', isOurs),
    coordinator.next('failure', isOurs),
  ])
  if (opened.type === 'failure') return { opened, bytes: Buffer.alloc(0) }
  const parts: Buffer[] = []
  while (Buffer.concat(parts).length < opened.bytes) {
    parts.push(Buffer.from((await coordinator.next('fileChunk', isOurs)).data, 'base64'))
    coordinator.send({ type: 'fileCredit', requestId, chunks: 1 })
  }
  return { opened, bytes: Buffer.concat(parts), end: await coordinator.next('fileEnd', isOurs) }
}

describe('files of a workspace', () => {
  test('a file of many windows goes in and comes out again, byte for byte, by its hash', async () => {
    const bytes = systemRandom.bytes(40 * LIMITS.logChunkBytes + 17)
    expect(await upload('in/big.bin', bytes)).toMatchObject({
      type: 'fileEnd',
      sha256: sha256Hex(bytes),
      bytes: bytes.length,
    })
    const { opened, bytes: got, end } = await download('in/big.bin')
    expect(opened).toMatchObject({ bytes: bytes.length, sha256: sha256Hex(bytes) })
    expect(got.equals(bytes)).toBe(true)
    expect(end).toMatchObject({ sha256: createHash('sha256').update(got).digest('hex') })
  })

  test('an empty file is a file', async () => {
    expect(await upload('empty', new Uint8Array())).toMatchObject({ type: 'fileEnd', bytes: 0 })
    expect((await download('empty')).opened).toMatchObject({ type: 'fileOpened', bytes: 0 })
  })

  test('a list names every file with its size', async () => {
    await upload('listed.txt', Buffer.from('four'))
    const requestId = newRequest()
    world.coordinator.send({ type: 'fileList', requestId, sessionId: session.sessionId })
    const { items } = await world.coordinator.next('files', (message) => message.requestId === requestId)
    expect(items).toContainEqual({
      name: 'listed.txt',
      bytes: 4,
      modifiedAt: expect.any(String),
      sha256: sha256Hex('four'),
    })
  })

  test('what a tool wrote can be read, and what was sent can be used by a tool', async () => {
    await upload('in.txt', Buffer.from('from outside'))
    const fs = 'const fs = require("fs");'
    const code = `${fs} fs.writeFileSync("out.txt", fs.readFileSync("in.txt", "utf8").toUpperCase())`
    await world.run(session.work({ tool: 'script', args: { code } }))
    expect(String((await download('out.txt')).bytes)).toBe('FROM OUTSIDE')
  })

  test('a reader that gives no credit is sent one window and no more', async () => {
    await upload('slow.bin', systemRandom.bytes(3 * FILE_WINDOW_CHUNKS * LIMITS.logChunkBytes))
    const requestId = newRequest()
    const { sessionId } = session
    world.coordinator.send({ type: 'fileRead', requestId, sessionId, name: 'slow.bin', fromByte: 0 })
    const isOurs = (message: { requestId: number }) => message.requestId === requestId
    for (let chunk = 0; chunk < FILE_WINDOW_CHUNKS; chunk += 1)
      await world.coordinator.next('fileChunk', isOurs)
    await world.run(session.work())
    const sent = world.coordinator.received.filter(
      (message) => message.type === 'fileChunk' && isOurs(message),
    )
    expect(sent).toHaveLength(FILE_WINDOW_CHUNKS)
    world.coordinator.send({ type: 'fileAbort', requestId })
  })
})

describe('a transfer is refused', () => {
  test.each(['../escape', '/etc/passwd', 'a/../../b', '', '-x', 'a\\b', 'a//b'])(
    'for the name %j',
    async (name) => {
      expect(await upload(name, Buffer.from('x'))).toMatchObject({
        type: 'failure',
        code: 'workspace_path_refused',
      })
      expect((await download(name)).opened).toMatchObject({ type: 'failure', code: 'workspace_path_refused' })
    },
  )

  test('for a file that is not there', async () => {
    expect((await download('gone')).opened).toMatchObject({ type: 'failure', code: 'not_found' })
  })

  test('for bytes that are not the announced ones, and nothing of them shows', async () => {
    const bytes = Buffer.from('these bytes')
    for (const answer of [
      await upload('wrong', bytes, sha256Hex('others')),
      await upload('wrong', bytes, undefined, 5),
      await upload('wrong', bytes, undefined, 50),
    ])
      expect(answer).toMatchObject({ type: 'failure', code: 'digest_mismatch' })
    expect((await download('wrong')).opened).toMatchObject({ type: 'failure', code: 'not_found' })
  })

  test('for more than the workspace holds', async () => {
    const requestId = newRequest()
    const request = {
      requestId,
      sessionId: session.sessionId,
      name: 'huge',
      bytes: 500_000_000,
      fromByte: 0,
      toByte: 500_000_000,
    }
    world.coordinator.send({ type: 'fileWrite', ...request })
    const answer = await world.coordinator.next('failure', (message) => message.requestId === requestId)
    expect(answer.code).toBe('workspace_full')
  })
})

test('an aborted transfer leaves nothing, and its name is free', async () => {
  const requestId = newRequest()
  world.coordinator.send({
    type: 'fileWrite',
    requestId,
    sessionId: session.sessionId,
    name: 'half',
    bytes: 10,
    fromByte: 0,
    toByte: 10,
  })
  world.coordinator.send({ type: 'fileChunk', requestId, data: Buffer.from('half').toString('base64') })
  world.coordinator.send({ type: 'fileAbort', requestId })
  expect(await upload('half', Buffer.from('whole'))).toMatchObject({ type: 'fileEnd' })
  expect(String((await download('half')).bytes)).toBe('whole')
})
