import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningNode, startNode } from '@orien/provider-node'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { type Stack, startStack } from '../harness/stack.ts'

// Nodes prove their sandboxes at start, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let stack: Stack
let first: RealNode
let copy = ''
let second: RunningNode | undefined

beforeAll(async () => {
  stack = await startStack()
  first = await startRealNode(stack)
  // As on another machine: the same keys, another directory, no lock between them.
  copy = await mkdtemp(join(tmpdir(), 'orien-copy-'))
  for (const name of ['node.key', 'operator.key', 'api.token', 'provider.json'])
    await cp(join(first.dataDir, name), join(copy, name))
})
afterEach(async () => {
  await second?.stop()
  second = undefined
})
afterAll(async () => {
  await first.stop()
  await stack.stop()
  await rm(copy, { recursive: true, force: true })
})

/** What the node that was there first says about itself over its loopback interface. */
async function firstStatus(): Promise<{ link: { state: string; rival?: { detail: string } } }> {
  const { readFile } = await import('node:fs/promises')
  const read = async (name: string) => (await readFile(join(first.dataDir, name), 'utf8')).trim()
  const headers = { authorization: `Bearer ${await read('api.token')}` }
  return (await (await fetch(`${await read('api.url')}/status`, { headers })).json()) as never
}

test('a second node with the key of one that is alive is refused by name, and the first one hears of it and stays', async () => {
  second = await startNode({ dataDir: copy })
  await vi.waitFor(
    () => expect(second?.health()).toMatchObject({ link: { refusal: { code: 'duplicate_node' } } }),
    { timeout: 20_000 },
  )
  expect((await firstStatus()).link).toMatchObject({ state: 'live', rival: { detail: expect.any(String) } })
})

test('a node takes over from one that is gone without a word, before the silence is long enough to be one', async () => {
  // Stopped as a machine that hangs: its connection stays open, and nobody answers on it.
  process.kill(first.pid(), 'SIGSTOP')
  second = await startNode({ dataDir: copy })
  await second.live
  process.kill(first.pid(), 'SIGCONT')
  expect(second.health()).toMatchObject({ link: { state: 'live' } })
})
