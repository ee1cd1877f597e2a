import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { micros } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack } from '../harness/stack.ts'

// Nodes prove their sandboxes at each start, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let stack: Stack
let node: RealNode
let session: Session
beforeAll(async () => {
  stack = await startStack()
  node = await startRealNode(stack)
  const agent = await createAgent(stack, 100_000_000n)
  session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(10_000_000n),
  })
})
afterAll(async () => {
  await node.stop()
  await stack.stop()
})

const python = (code: string) =>
  session.run({
    tool: 'execute_script',
    args: { language: 'python', code },
    maxCostMicros: micros(2_000_000n),
  })

const owner = (...words: string[]) => spawnOrien(['provider', ...words, '--data-dir', node.dataDir])

async function stop(...words: string[]) {
  const { code, stdout } = await owner('stop', '--json', ...words)
  return { code, ...JSON.parse(stdout) }
}

test('an agent finds its files after `orien provider stop` and the next start; --for-good leaves none', async () => {
  await python(`open('kept', 'w').write('of before')`)
  expect(await stop()).toEqual({ code: 0, wasRunning: true, keptSessions: 1 })
  expect(await stop()).toEqual({ code: 0, wasRunning: false, keptSessions: 1 })
  await owner('drain')
  const { stdout } = await owner('status')
  expect(stdout).toMatch(/^node +does not run here; the next one is draining/m)
  expect(stdout).toMatch(/^files +the files of 1 session stay for the next start/m)
  await owner('resume')
  await node.start()
  expect(await python(`print(open('kept').read())`)).toMatchObject({ exitCode: 0, stdout: 'of before\n' })
  expect(await stop('--for-good')).toEqual({ code: 0, wasRunning: true, keptSessions: 0 })
  expect(await readdir(join(node.dataDir, 'workspaces'))).toEqual([])
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(node.dataDir)
})

test('a directory that is not there is told, not taken for a node that does not run', async () => {
  const { code, stderr } = await spawnOrien(['provider', 'stop', '--data-dir', join(node.dataDir, 'nowhere')])
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no such data directory'),
  })
})
