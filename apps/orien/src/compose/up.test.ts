import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { mainFile, spawnOrien } from '../commands/fixtures/spawnOrien.ts'
import { freePort } from './port.ts'

// Every test starts processes that load most of ORIEN.
vi.setConfig({ testTimeout: 60_000 })

const dataDir = mkdtempSync(join(tmpdir(), 'orien-up-'))
let port: number
let up: ReturnType<typeof spawn>
const lines: string[] = []

/** Command lines of all processes that work in the data directory. */
function processesHere(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
    .filter((command) => command.includes(dataDir))
}

beforeAll(async () => {
  port = await freePort()
  const args = [mainFile, 'up', '--no-node', '--port', String(port), '--data-dir', dataDir]
  const env = { PATH: process.env.PATH ?? '', HOME: dataDir }
  up = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (!up.stdout) return
  for await (const line of createInterface({ input: up.stdout })) {
    lines.push(line)
    break
  }
})

afterAll(async () => {
  if (up.exitCode === null) up.kill('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

test('says exactly when and where it is ready, and serves there', async () => {
  expect(lines).toEqual([`orien ready http://localhost:${port}`])
  const health = await fetch(`http://localhost:${port}/api/health`)
  const faults = { status: 'degraded', reasons: ['no_provider_online'] }
  expect(await health.json()).toMatchObject({ database: 'ok', chain: 'ok', ...faults })
})

test('a second stack on the same directory is refused by name', async () => {
  const { code, stdout, stderr } = await spawnOrien(['up', '--port', String(port + 1), '--data-dir', dataDir])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain(`database_in_use: ORIEN already runs on ${dataDir} (process ${up.pid})`)
})

test('other commands of this person find the database of a running stack', async () => {
  const { code, stdout } = await spawnOrien(['reconcile', '--json', '--data-dir', dataDir])
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, ok: true })
})

test('ends with 0 when it is asked to, and leaves no process and no claim to be running', async () => {
  const exited = once(up, 'exit')
  up.kill('SIGTERM')
  expect((await exited)[0]).toBe(0)
  expect({ processes: processesHere(), isRunning: existsSync(join(dataDir, 'running.json')) }).toEqual({
    processes: [],
    isRunning: false,
  })
})

test('the database of a stack that is not running can be audited too', async () => {
  const { code, stderr } = await spawnOrien(['reconcile', '--json', '--data-dir', dataDir])
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/The chain was not asked/) })
  expect(processesHere()).toEqual([])
})

test('a start that is interrupted takes back what it has started', async () => {
  const args = [mainFile, 'up', '--no-node', '--port', String(port), '--data-dir', dataDir]
  const env = { PATH: process.env.PATH ?? '', HOME: dataDir }
  const starting = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(starting, 'exit')
  const said: string[] = []
  for await (const line of createInterface({ input: starting.stderr })) {
    said.push(line)
    // The first line comes before the first part is started.
    if (said.length === 1) starting.kill('SIGINT')
  }
  expect({ code: (await exited)[0], last: said.at(-1) }).toEqual({ code: 1, last: 'interrupted' })
  expect(processesHere()).toEqual([])
})
