import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { micros } from '@orien/protocol'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

// Programs are started as a reader of the examples would start them.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 })

const repository = fileURLToPath(new URL('../..', import.meta.url))
const inExamples = (path: string) => join(repository, 'examples', path)
const dir = mkdtempSync(join(tmpdir(), 'orien-examples-'))

let stack: Stack
let node: RealNode
let agent: TestAgent
let imported: string

beforeAll(async () => {
  const server = inExamples('mcp-tools/server.ts')
  const importing = ['provider', 'import', '--mcp', '--read-only', repository, '--', 'node', server]
  const ended = await spawnOrien(importing)
  expect(ended.code, ended.stderr).toBe(0)
  imported = ended.stdout
  const tools = inExamples('tools-file')
  const shown = readFileSync(join(tools, 'orien.tools.yaml'), 'utf8')
  const toolsFile = join(dir, 'orien.tools.yaml')
  const moved = shown.replaceAll('{manifestDir}', tools).replaceAll('[./', `[${tools}/`)
  writeFileSync(toolsFile, `${moved}\n${imported.replace(/^tools:\n/m, '')}`)
  stack = await startStack()
  node = await startRealNode(stack, { toolsFile, rateMicrosPerMinute: 600_000n })
  agent = await createAgent(stack, 5_000_000n)
})
afterAll(async () => {
  await node?.stop()
  await stack?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const openSession = () =>
  agent.orien.openSession({ providerId: node.providerId, budgetMicros: micros(500_000n) })

test('examples/agent runs a tool twice, pays for it, and finds its bill verified by the chain', async () => {
  const keyFile = join(dir, 'agent.key')
  writeFileSync(keyFile, `${agent.privateKey}\n`, { mode: 0o600 })
  const program = [inExamples('agent/agent.ts'), stack.url, stack.chain.rpcUrl, keyFile]
  const { stdout } = await promisify(execFile)(process.execPath, program)
  expect(stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^completed in \d+ ms for 0\.\d+ USDC: 2262$/),
    expect.stringMatching(/^completed in \d+ ms for 0\.\d+ USDC: $/),
    expect.stringMatching(/^paid 0\.\d+ USDC; the bill is verified$/),
  ])
})

test('examples/tools-file is free of mistakes, and its own tool counts what an agent uploads', async () => {
  const checked = await spawnOrien(['provider', 'tools', 'check', inExamples('tools-file/orien.tools.yaml')])
  expect(checked.code, checked.stderr).toBe(0)
  const session = await openSession()
  await session.upload('text.txt', 'to be or not to be')
  const args = { input: 'text.txt', most: 2 }
  const { stdout } = await session.run({ tool: 'count_words', args, maxCostMicros: micros(100_000n) })
  expect(stdout).toBe('6 words, 4 of them different\n')
  const table = await session.download('words.csv')
  expect(Buffer.from(table).toString('utf8')).toBe('word,count\nto,2\nbe,2\n')
  await session.end()
})

test('examples/mcp-tools: the tool of a stock MCP server is rented, and its own bounds hold', async () => {
  const session = await openSession()
  const fold = (folds: number) =>
    session.run({ tool: 'fold_paper', args: { folds }, maxCostMicros: micros(100_000n) })
  expect((await fold(42)).stdout?.trim()).toBe('439804651.1104')
  await expect(fold(101)).rejects.toMatchObject({ code: 'validation_failed' })
  await session.end()
})
