import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startCoordinator, type TestCoordinator } from './testing/coordinator.ts'
import { createInbox, type Inbox } from './testing/inbox.ts'
import { FIXTURES, makeDataDir, removeDir } from './testing/node.ts'

type Line = { event: string } & Record<string, unknown>

let coordinator: TestCoordinator
let dataDir = ''
let child: ChildProcess | undefined
beforeEach(async () => {
  coordinator = await startCoordinator()
  dataDir = await makeDataDir(coordinator.url)
})
afterEach(async () => {
  if (child && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await coordinator.close()
  await removeDir(dataDir)
})

/** The program as `orien provider start` runs it; its log lines as they come. */
function startMain(
  args: readonly string[],
  cwd = tmpdir(),
): { child: ChildProcess; log: Inbox<Line>; lines: string[] } {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const started = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: '/usr/bin:/bin' },
    cwd,
  })
  child = started
  const log: Inbox<Line> = createInbox()
  const lines: string[] = []
  createInterface({ input: started.stdout }).on('line', (line) => {
    lines.push(line)
    log.put(JSON.parse(line))
  })
  return { child: started, log, lines }
}

const event = (name: string) => (line: Line) => line.event === name
const manifest = join(FIXTURES, 'orien.tools.yaml')

describe('the node’s process', () => {
  test('starts, is let in, and on SIGTERM ends in order with its receipts told', async () => {
    // Nobody answers there, and nothing asks: no work comes.
    const args = ['--data-dir', dataDir, '--tools', manifest, '--rpc-url', 'http://127.0.0.1:9']
    const { child: node, log, lines } = startMain(args)
    await log.take(event('node.live'))
    expect((await coordinator.next('hello')).version).toMatch(/^\d+\.\d+\.\d+$/)
    const exited = once(node, 'exit')
    node.kill('SIGTERM')
    await log.take(event('node.stopped'))
    expect(await exited).toEqual([0, null])
    expect(lines.every((line) => !line.includes(dataDir))).toBe(true)
  })

  test('is let in from a data directory that is named relative to where it was started', async () => {
    const args = ['--data-dir', basename(dataDir), '--rpc-url', 'http://127.0.0.1:9']
    const { log } = startMain(args, dirname(dataDir))
    expect(await log.take(({ event }) => /^node\.(live|unstartable)$/.test(event))).toMatchObject({
      event: 'node.live',
    })
  })

  test('reads its tools file again on SIGHUP, goes on with the old one when the new one is wrong, and says which line', async () => {
    const own = join(dataDir, 'orien.tools.yaml')
    await copyFile(join(FIXTURES, 'echo.mjs'), join(dataDir, 'echo.mjs'))
    await copyFile(manifest, own)
    const { child: node, log } = startMain(['--data-dir', dataDir, '--rpc-url', 'http://127.0.0.1:9'])
    await log.take(event('node.live'))
    const text = await readFile(own, 'utf8')
    await writeFile(own, text.replace('- id: echo', '- id: Echo!'))
    node.kill('SIGHUP')
    const refused = await log.take(event('tools.unreloaded'))
    expect(JSON.stringify(refused.err)).toMatch(/orien\.tools\.yaml:\d+:\d+ tools\[0\]\.id/)
    await writeFile(own, text.replace('- id: echo', '- id: echo2'))
    node.kill('SIGHUP')
    expect(await log.take(event('tools.reloaded'))).toMatchObject({ added: ['echo2'], removed: ['echo'] })
    expect(coordinator.registrations).toBeGreaterThanOrEqual(1)
  })

  test('works for its owner alone with --standalone, and no coordinator hears of it', async () => {
    const { log } = startMain(['--data-dir', dataDir, '--tools', manifest, '--standalone'])
    const { apiUrl } = await log.take(event('node.started'))
    expect((await fetch(`${apiUrl}/health`)).status).toBe(401)
    expect(coordinator.registrations).toBe(0)
  })

  test.each([
    ['no data directory is named', [], '--data-dir is missing'],
    ['an option is unknown', ['--shell'], 'shell'],
    ['a number is none', ['--data-dir', 'x', '--port', 'many'], '--port'],
    ['there is no node in the directory', ['--data-dir', 'nowhere-at-all'], ''],
  ])('says in one line what is wrong when %s, and exits with 1', async (_title, args, detail) => {
    const { child: node, log } = startMain(args)
    const line = await log.take(event('node.unstartable'))
    expect(JSON.stringify(line.err)).toContain(detail)
    if (node.exitCode === null) await once(node, 'exit')
    expect(node.exitCode).toBe(1)
  })
})
