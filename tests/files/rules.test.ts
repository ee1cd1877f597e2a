import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LIMITS, micros } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { signIn } from '../bench/sse/signIn.ts'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'
import { toolsText } from './transferPlace.ts'

const MEBIBYTE = 1_048_576

/** Waits of transfers end when the test says so; every other one as the system has it. */
const waits = new Set<() => void>()
const clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  after: (delayMs: number, callback: () => void) => {
    if (delayMs === LIMITS.transferIdleMs) {
      waits.add(callback)
      return () => void waits.delete(callback)
    }
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
const elapse = () => {
  for (const callback of [...waits]) callback()
}

let stack: Stack
let node: RealNode
let agent: TestAgent
let session: Session
let token: string
const dir = mkdtempSync(join(tmpdir(), 'orien-rules-'))

beforeAll(async () => {
  const toolsFile = join(dir, 'tools.yaml')
  writeFileSync(toolsFile, toolsText(64 * MEBIBYTE))
  stack = await startStack({}, undefined, { clock })
  node = await startRealNode(stack, { toolsFile })
  agent = await createAgent(stack, 1_000_000_000n)
  token = (await signIn(stack.url, agent.account)).token
  session = await open()
  // A run is dispatched when the deposit is final.
  await session.run({ tool: 'sh', args: { line: 'true' }, maxCostMicros: micros(1_000_000n) })
}, 120_000)
afterAll(async () => {
  await node.stop()
  await stack.stop()
  rmSync(dir, { recursive: true })
})

const open = () => agent.orien.openSession({ providerId: node.providerId, budgetMicros: micros(10_000_000n) })
const at = (name: string, of = session) => `${stack.url}/api/sessions/${of.id}/files/${name}`
const bearer = () => ({ authorization: `Bearer ${token}` })
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

function put(name: string, body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  return fetch(at(name), { method: 'PUT', headers: { ...bearer(), ...headers }, body })
}
const problem = async (answer: Response) => ({ status: answer.status, ...((await answer.json()) as object) })

function begin(url: string, method: string, headers: Record<string, string | number> = {}): ClientRequest {
  return request(url, { method, headers: { ...bearer(), ...headers }, agent: false })
}
const answerOf = (asked: ClientRequest) =>
  new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve)
    asked.once('error', reject)
  })

describe('a download', () => {
  const text = new TextEncoder().encode('a file with a middle and an end')
  beforeAll(async () => void (await put('text', text)))

  test('names its size, its hash and its tag', async () => {
    const answer = await fetch(at('text'), { headers: bearer() })
    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-length': String(text.length),
      'accept-ranges': 'bytes',
      etag: `"${sha256Of(text)}"`,
      'repr-digest': `sha-256=:${createHash('sha256').update(text).digest('base64')}:`,
    })
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(text)
  })

  test('gives the rest of the same file, and all of another one', async () => {
    const ask = (tag: string) =>
      fetch(at('text'), { headers: { ...bearer(), range: 'bytes=7-', 'if-range': tag } })
    const rest = await ask(`"${sha256Of(text)}"`)
    expect(rest.status).toBe(206)
    expect(rest.headers.get('content-range')).toBe(`bytes 7-${text.length - 1}/${text.length}`)
    expect(await rest.text()).toBe('with a middle and an end')
    const whole = await ask(`"${'0'.repeat(64)}"`)
    expect(whole.status).toBe(200)
    expect(new Uint8Array(await whole.arrayBuffer())).toEqual(text)
  })

  test('from behind the end has its code', async () => {
    const answer = await fetch(at('text'), { headers: { ...bearer(), range: 'bytes=99-' } })
    expect(await problem(answer)).toMatchObject({ status: 416, code: 'range_not_satisfiable' })
  })

  test('whose reader takes nothing is dropped when the clock says so, and its place is free', async () => {
    await put('large', new Uint8Array(32 * MEBIBYTE))
    const asked = begin(at('large'), 'GET')
    asked.end()
    const answer = await answerOf(asked)
    answer.pause()
    answer.on('error', () => {})
    const closed = new Promise((resolve) => answer.once('close', resolve))
    await vi.waitFor(() => expect(waits.size).toBeGreaterThan(0))
    elapse()
    answer.resume()
    await closed
    expect(answer.complete).toBe(false)
    for (let round = 0; round < 8; round += 1) {
      expect((await fetch(at('text'), { headers: bearer() })).status).toBe(200)
    }
  })
})

describe('an upload', () => {
  test('whose sender stands still is dropped when the clock says so, and goes on from there', async () => {
    const bytes = new Uint8Array(MEBIBYTE).fill(7)
    const sha256 = sha256Of(bytes)
    const asked = begin(at('slow'), 'PUT', { 'content-length': bytes.length, 'x-content-sha256': sha256 })
    const answered = answerOf(asked)
    asked.write(bytes.subarray(0, MEBIBYTE / 2))
    const url = `${stack.url}/api/sessions/${session.id}/uploads?name=slow&sha256=${sha256}&bytes=${bytes.length}`
    const arrived = async () =>
      (await (await fetch(url, { headers: bearer() })).json()) as { receivedBytes: number }
    await vi.waitFor(async () => expect((await arrived()).receivedBytes).toBe(MEBIBYTE / 2))
    elapse()
    await answered.then(
      (answer) => expect(answer.statusCode).toBe(504),
      () => undefined,
    )
    const { receivedBytes } = await arrived()
    const range = `bytes ${receivedBytes}-${bytes.length - 1}/${bytes.length}`
    const rest = await put('slow', bytes.subarray(receivedBytes), {
      'x-content-sha256': sha256,
      'content-range': range,
    })
    expect(await rest.json()).toEqual({ name: 'slow', bytes: bytes.length, sha256 })
  })

  test('at another place than where it stopped is told where that is', async () => {
    const bytes = new Uint8Array(100)
    const answer = await put('odd', bytes.subarray(50), {
      'x-content-sha256': sha256Of(bytes),
      'content-range': 'bytes 50-99/100',
    })
    expect(await problem(answer)).toMatchObject({
      status: 409,
      code: 'upload_offset_mismatch',
      receivedBytes: 0,
    })
  })

  test('of other bytes than its hash says shows nowhere', async () => {
    const answer = await put('wrong', new Uint8Array(10), { 'x-content-sha256': '0'.repeat(64) })
    expect(await problem(answer)).toMatchObject({ status: 422, code: 'digest_mismatch' })
    expect((await fetch(at('wrong'), { headers: bearer() })).status).toBe(404)
  })

  test('of more than the workspace holds is refused by its code', async () => {
    const answer = await put('huge', new Uint8Array(65 * MEBIBYTE))
    expect(await problem(answer)).toMatchObject({ status: 422, code: 'workspace_full' })
  })

  test('that is large makes the deposit be relayed and waits for it; a small one needs none', async () => {
    const unfunded = await open()
    await unfunded.upload('small', new Uint8Array(1_000))
    expect((await unfunded.state()).channelStatus).toBe('none')
    const bytes = new Uint8Array(LIMITS.unfundedFileBytes + 1)
    const refused = await fetch(at('large', unfunded), { method: 'PUT', headers: bearer(), body: bytes })
    expect(await problem(refused)).toMatchObject({ status: 409, code: 'deposit_pending' })
    expect((await unfunded.upload('large', bytes)).bytes).toBe(bytes.length)
    expect((await unfunded.state()).channelStatus).toBe('open')
  }, 60_000)
})
