import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { micros } from '@orien/protocol'
import { removeKeptWorkspaces } from '@orien/provider-node'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { signIn } from '../bench/sse/signIn.ts'
import { openTransferPlace, type TransferPlace } from './transferPlace.ts'

const MEBIBYTE = 1_048_576
let here: TransferPlace
beforeAll(async () => {
  here = await openTransferPlace(128 * MEBIBYTE)
}, 120_000)
afterAll(() => here.stop())

/** Bytes that no compression or repetition could hide a mistake in. */
function bytesOf(mebibytes: number): Buffer {
  const bytes = Buffer.alloc(mebibytes * MEBIBYTE)
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at)
  return bytes
}
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('an upload whose coordinator is killed goes on with the next one, from what the node had', async () => {
  const session = await here.openSession()
  const bytes = bytesOf(40)
  const reached: number[] = []
  let killed: Promise<void> | undefined
  const sent = await session.upload('large', bytes, {
    onProgress: ({ doneBytes }) => {
      reached.push(doneBytes)
      if (doneBytes > 0) killed ??= here.place.killCoordinator()
    },
  })
  await killed
  expect(sent.sha256).toBe(sha256Of(bytes))
  expect(killed).toBeDefined()
  expect(reached).toEqual([...reached].sort((a, b) => a - b))
  expect(await session.files()).toMatchObject([{ name: 'large', bytes: bytes.length, sha256: sent.sha256 }])
}, 120_000)

test('a download whose coordinator is killed goes on with the next one, and is the same file', async () => {
  const session = await here.openSession()
  const bytes = bytesOf(24)
  await session.upload('large', bytes)
  const hash = createHash('sha256')
  let killed: Promise<void> | undefined
  for await (const piece of session.downloadPieces('large')) {
    hash.update(piece)
    killed ??= here.place.killCoordinator()
  }
  await killed
  expect(hash.digest('hex')).toBe(sha256Of(bytes))
}, 120_000)

test('an upload whose node is killed begins anew on the node that comes back, and whole files of before are still there', async () => {
  const session = await here.openSession()
  await session.upload('earlier', bytesOf(1))
  const bytes = bytesOf(40)
  let struck: Promise<void> | undefined
  const restart = async () => {
    await here.node.kill()
    await here.node.start()
  }
  const sent = await session.upload('large', bytes, {
    onProgress: ({ doneBytes }) => {
      if (doneBytes > 0) struck ??= restart()
    },
  })
  await struck
  expect(sent.sha256).toBe(sha256Of(bytes))
  expect((await session.files()).map(({ name }) => name)).toEqual(['earlier', 'large'])
  // A tool in the workspace sees what a list of files does not show.
  const looked = await session.run({ tool: 'sh', args: { line: 'ls -A' }, maxCostMicros: micros(1_000_000n) })
  expect(looked).toMatchObject({ status: 'completed', stdout: 'earlier\nlarge\n' })
}, 120_000)

test('an upload that another process has begun is continued by its hash', async () => {
  const session = await here.openSession()
  const bytes = bytesOf(40)
  const gone = new AbortController()
  await expect(
    session.upload('large', bytes, {
      signal: gone.signal,
      onProgress: ({ doneBytes }) => doneBytes > 0 && gone.abort(),
    }),
  ).rejects.toThrow()
  const again = await here.agent.orien.session(session.id)
  const reached: number[] = []
  await again.upload('large', bytes, { onProgress: ({ doneBytes }) => reached.push(doneBytes) })
  expect(reached[0]).toBeGreaterThanOrEqual(16 * MEBIBYTE)
  expect(sha256Of(await session.download('large'))).toBe(sha256Of(bytes))
}, 60_000)

test('after the end of its session nothing can be read, listed or written, and nothing is on the disk', async () => {
  const session = await here.openSession()
  await session.upload('secret', 'of one session')
  const { token } = await signIn(here.place.url, here.agent.account)
  await session.end()
  const at = `${here.place.url}/api/sessions/${session.id}`
  const sha256 = sha256Of(Buffer.from('x'))
  const calls: [string, RequestInit?][] = [
    [`${at}/files`],
    [`${at}/files/secret`],
    [`${at}/uploads?name=secret&sha256=${sha256}&bytes=1`],
    [`${at}/files/secret`, { method: 'PUT', body: 'x' }],
  ]
  for (const [url, init] of calls) {
    const answer = await fetch(url, { ...init, headers: { authorization: `Bearer ${token}` } })
    expect(answer.status).toBe(410)
    expect(await answer.json()).toMatchObject({ code: 'workspace_gone' })
  }
  await session.settled()
  await vi.waitFor(() => expect(secretsBelow(here.node.dataDir)).toEqual([]))
}, 60_000)

test('a node that was killed and is started again has the files of a session that goes on, until that ends', async () => {
  const session = await here.openSession()
  await session.upload('secret', 'of one session')
  await here.node.kill()
  await here.node.start()
  expect(new TextDecoder().decode(await session.download('secret'))).toBe('of one session')
  await session.end()
  await session.settled()
  await vi.waitFor(() => expect(secretsBelow(here.node.dataDir)).toEqual([]))
}, 60_000)

test('an owner who removes the files of a node that was killed leaves no mount that still shows them', async () => {
  const session = await here.openSession()
  await session.upload('secret', 'of one session')
  await session.run({ tool: 'sh', args: { line: 'cat secret' }, maxCostMicros: micros(1_000_000n) })
  await here.node.kill()
  const noted = join(here.node.dataDir, 'sandbox', 'stages')
  const stages = existsSync(noted)
    ? readdirSync(noted).map((name) => readFileSync(join(noted, name), 'utf8'))
    : []
  // Only root's node has to show its files to another uid.
  expect(stages).toHaveLength(process.getuid?.() === 0 ? 1 : 0)
  await removeKeptWorkspaces(here.node.dataDir)
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
  for (const path of [...stages, join(here.node.dataDir, 'workspaces')]) expect(mounts).not.toContain(path)
  for (const stage of stages) expect(existsSync(stage)).toBe(false)
  await here.node.start()
}, 60_000)

function secretsBelow(dir: string): string[] {
  const found = execFileSync('sh', ['-c', 'grep -rl "of one session" "$0" || true', dir], {
    encoding: 'utf8',
  })
  return found.split('\n').filter(Boolean)
}
