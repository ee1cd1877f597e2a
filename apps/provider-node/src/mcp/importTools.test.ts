import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type StandaloneNode, startStandalone } from '../node/startStandalone.ts'
import { FIXTURES, removeDir } from '../testing/node.ts'
import { type ImportedTools, importMcpTools } from './importTools.ts'

/** The fixture's packages are links into this directory. */
const PACKAGES = fileURLToPath(new URL('../../../../node_modules', import.meta.url))
const ZOD_AND_SDK = fileURLToPath(new URL('../../../../packages', import.meta.url))

let imported: ImportedTools
let node: StandaloneNode
let dataDir = ''

beforeAll(async () => {
  imported = await importMcpTools({
    command: ['node', join(FIXTURES, 'mcpServer.ts')],
    prefix: 'fixture_',
    readOnlyPaths: [PACKAGES, ZOD_AND_SDK],
    searchPath: '',
  })
  dataDir = await mkdtemp(join(tmpdir(), 'orien-mcp-'))
  const manifestFile = join(dataDir, 'tools.yaml')
  await writeFile(manifestFile, `tools:\n${imported.entries}`)
  node = await startStandalone({ dataDir, manifestFile, concurrency: 1 })
}, 60_000)
afterAll(async () => {
  await node.stop()
  await removeDir(dataDir)
})

const headers = () => ({ authorization: `Bearer ${node.apiToken}`, 'content-type': 'application/json' })

async function call(tool: string, args: object): Promise<{ status: number; output: string; ended: unknown }> {
  const body = JSON.stringify({ tool, args })
  const response = await fetch(new URL('/execute', node.apiUrl), { method: 'POST', headers: headers(), body })
  const started = (await response.json()) as { id: string }
  if (response.status !== 202) return { status: response.status, output: '', ended: started }
  // The log ends with the run.
  const output = await (
    await fetch(new URL(`/executions/${started.id}/logs`, node.apiUrl), { headers: headers() })
  ).text()
  const ended = await (
    await fetch(new URL(`/executions/${started.id}`, node.apiUrl), { headers: headers() })
  ).json()
  return { status: response.status, output, ended }
}

describe('an MCP server’s tools', () => {
  test('become tools with checked arguments, and what a tool cannot take is named', () => {
    expect(imported.server).toEqual({ name: 'fixture', version: '1.2.3' })
    expect(imported.tools).toEqual(['fixture_echo_all', 'fixture_picture', 'fixture_fail', 'fixture_look'])
    expect(imported.skipped.map(({ name }) => name)).toEqual(['echo-all.nested', 'matrix'])
  })

  test('run inside the sandbox with every argument in its own type', async () => {
    const args = {
      text: '--tool=x $(id)',
      count: 3,
      ratio: -0.5,
      loud: false,
      words: ['a b', '--'],
      mode: 'b',
    }
    const { output, ended } = await call('fixture_echo_all', args)
    expect(JSON.parse(output)).toEqual(args)
    expect(ended).toMatchObject({ status: 'completed', exitCode: 0 })
  })

  test('keep the server’s own bounds', async () => {
    const { status, ended } = await call('fixture_echo_all', { text: 'x', count: 10 })
    expect({ status, ended }).toMatchObject({ status: 400, ended: { code: 'validation_failed' } })
  })

  test('that answer with a picture leave it in the workspace, named in the output', async () => {
    expect((await call('fixture_picture', {})).output).toBe('answer-1.png\n')
  })

  test('that fail are failed runs', async () => {
    const { output, ended } = await call('fixture_fail', {})
    expect(output).toBe('it went wrong\n')
    expect(ended).toMatchObject({ status: 'failed', exitCode: 1 })
  })

  test('see nothing of the machine that was not shown to them', async () => {
    const { output, ended } = await call('fixture_look', {})
    expect(output).toContain('ENOENT')
    expect(ended).toMatchObject({ status: 'failed' })
  })
})

describe('what is no MCP server', () => {
  test.each([
    [['node', '-e', 'process.exit(3)'], 'no MCP server'],
    [['no-such-program'], 'no executable'],
  ])('%j is refused with a code', async (command, message) => {
    await expect(importMcpTools({ command, searchPath: '' })).rejects.toMatchObject({
      code: 'setup_failed',
      message: expect.stringContaining(message),
    })
  })
})
