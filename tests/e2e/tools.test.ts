import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createPool } from '@orien/coordinator'
import { getMetering, micros, readReceipt, type UsdcMicros } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

const toolsDir = fileURLToPath(new URL('../../apps/provider-node/tools', import.meta.url))

/** The shipped file, its relative names made absolute: it is going to lie elsewhere. */
function shippedTools(): string {
  const text = readFileSync(join(toolsDir, 'orien.tools.yaml'), 'utf8')
  return text.replaceAll('{manifestDir}', toolsDir).replaceAll(/(?<=[\s[])(\.\.?\/)/g, `${toolsDir}/$1`)
}

/** Beside the shipped ones: a tool whose own limit is below any grant. */
const shortTool = `
  - id: nap
    description: Sleeps longer than it may
    arguments: { properties: {} }
    executable: /usr/bin/sleep
    argv: [{ kind: literal, value: "30" }]
    readOnlyPaths: [/usr/bin]
    limits: { timeMs: 300, memoryBytes: 67108864, processes: 4, diskBytes: 1048576, outputBytes: 1024 }
`

let stack: Stack
let node: RealNode
let agent: TestAgent

beforeAll(async () => {
  stack = await startStack()
  const toolsFile = join(mkdtempSync(join(tmpdir(), 'orien-tools-')), 'tools.yaml')
  writeFileSync(toolsFile, `${shippedTools()}\n${shortTool}`)
  node = await startRealNode(stack, { toolsFile })
  agent = await createAgent(stack, 1_000_000_000n)
}, 120_000)
afterAll(async () => {
  await node.stop()
  await stack.stop()
})

const openSession = (budget = 50_000_000n) =>
  agent.orien.openSession({ providerId: node.providerId, budgetMicros: micros(budget) })

function script(session: Session, language: 'javascript' | 'python', code: string, maxCost = 20_000_000n) {
  return session.run({ tool: 'execute_script', args: { language, code }, maxCostMicros: micros(maxCost) })
}

test('a script runs, prints, is metered, and its receipt is the price', async () => {
  const session = await openSession()
  const result = await script(session, 'python', 'print(6 * 7)')
  expect(result).toMatchObject({ status: 'completed', exitCode: 0, stdout: '42\n' })
  expect(result.effectiveMs).toBeGreaterThan(0)
  expect(result.costMicros).toBe(BigInt(result.effectiveMs) * 1_000n)
  expect(readReceipt(result.receipt ?? '')?.receipt).toMatchObject({
    effectiveMs: result.effectiveMs,
    sequence: 1,
  })
})

test('an endless loop ends as budget_exhausted at its hold, not a micro-USDC above', async () => {
  const session = await openSession()
  const hold: UsdcMicros = micros(300_000n)
  const result = await script(session, 'javascript', 'for (;;) {}', hold)
  expect(result).toMatchObject({ status: 'failed', reason: 'budget_exhausted', effectiveMs: 300 })
  expect(result.costMicros).toBe(hold)
})

const endings: [string, string][] = [
  ['nonzero_exit', 'process.exit(3)'],
  ['out_of_memory', 'const all = []; for (;;) all.push(Buffer.alloc(16 << 20, 1))'],
  [
    'output_limit',
    "const line = 'x'.repeat(65536); const more = () => { while (process.stdout.write(line)); }; process.stdout.on('drain', more); more()",
  ],
]

test.each(endings)('a run that ends by %s says so', async (reason, code) => {
  const session = await openSession()
  expect(await script(session, 'javascript', code)).toMatchObject({ status: 'failed', reason })
})

test('a run that passes the tool’s own limit is timed_out, not budget_exhausted', async () => {
  const session = await openSession()
  const result = await session.run({ tool: 'nap', args: {} })
  expect(result).toMatchObject({ status: 'failed', reason: 'timed_out', effectiveMs: 300 })
})

test('a burn of known CPU time, children and orphans included, is metered within 10 ms or 2 %', async () => {
  const session = await openSession()
  // Each burner spends CPU time by its own clock; the parent leaves two of them as orphans.
  const code = `
import os, resource, sys, time
def burn(ms):
    start = time.process_time()
    while time.process_time() - start < ms / 1000: pass
def spent(): return time.process_time() * 1000
for _ in range(3):
    if os.fork() == 0:
        burn(100); os._exit(0)
for _ in range(3): os.wait()
pid = os.fork()
if pid == 0:
    if os.fork() > 0: os._exit(0)
    os.setsid(); burn(100)
    open('orphan', 'w').write(str(spent())); os._exit(0)
os.waitpid(pid, 0)
while not os.path.exists('orphan') or not open('orphan').read(): time.sleep(0.005)
burn(100)
children = resource.getrusage(resource.RUSAGE_CHILDREN)
print(spent() + (children.ru_utime + children.ru_stime) * 1000 + float(open('orphan').read()))`
  const result = await script(session, 'python', code)
  const burnt = Number(result.stdout)
  // Above what the program saw of itself there is only its own end and the launcher's beginning.
  expect(burnt).toBeGreaterThan(500)
  expect(result.cpuMs).toBeGreaterThanOrEqual(Math.floor(burnt) - Math.max(10, burnt * 0.02))
  const overhead = (await script(session, 'python', 'pass')).cpuMs
  expect(result.cpuMs - overhead).toBeLessThanOrEqual(burnt + Math.max(10, burnt * 0.02))
})

test('what a tool reads and writes, its child included, is told by run, receipt and metering report alike', async () => {
  const session = await openSession()
  const code = `
import os
with open('three', 'wb') as file: file.write(bytes(3 << 20))
pid = os.fork()
if pid == 0:
    with open('three', 'rb') as file: file.read()
    os._exit(0)
os.wait()`
  const idle = await script(session, 'python', 'import os')
  const run = await script(session, 'python', code)
  const more = (side: 'readBytes' | 'writtenBytes') => (run[side] ?? 0) - (idle[side] ?? Number.NaN)
  for (const side of ['readBytes', 'writtenBytes'] as const) {
    expect(more(side), side).toBeGreaterThanOrEqual(3 << 20)
    expect(more(side), side).toBeLessThan((3 << 20) + 16_384)
  }
  const { readBytes, writtenBytes } = run
  expect(readReceipt(run.receipt ?? '')?.receipt).toMatchObject({
    readBytes,
    writtenBytes,
    sources: { io: 'helper' },
  })
  const { items } = await agent.orien.call(getMetering, { query: { sessionId: session.id, limit: 10 } })
  expect(items.find(({ executionId }) => executionId === run.id)).toMatchObject({ readBytes, writtenBytes })
})

test('a cancelled run ends as cancelled and costs what it used', async () => {
  const session = await openSession()
  const run = await session.execute({
    tool: 'execute_script',
    args: { language: 'javascript', code: "console.log('on'); setInterval(() => {}, 1e6)" },
  })
  for await (const piece of run.logs()) {
    if (piece.text.includes('on')) break
  }
  await run.cancel()
  const result = await run.wait()
  expect(result).toMatchObject({ status: 'failed', reason: 'cancelled' })
  expect(result.costMicros).toBe(BigInt(result.effectiveMs) * 1_000n)
})

/** Processes on this machine whose command line has this mark. */
function alive(mark: string): number {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark)
      } catch {
        return false
      }
    }).length
}

test('20 double-forked daemons that ignore every signal die with an endless loop', async () => {
  const mark = `daemon-${stack.url.slice(-5)}`
  const code = `
import os, signal, sys, time
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        for number in range(1, 64):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        os.execv(sys.executable, [sys.executable, '-c', 'import time\\nwhile True: time.sleep(1)', '${mark}'])
print('forked', flush=True)
while True: pass`
  const session = await openSession()
  const run = await session.execute({
    tool: 'execute_script',
    args: { language: 'python', code },
    maxCostMicros: micros(4_000_000n),
  })
  for await (const piece of run.logs()) {
    if (piece.text.includes('forked')) break
  }
  expect(await run.wait()).toMatchObject({ reason: 'budget_exhausted' })
  expect(alive(mark)).toBe(0)
})

test('time that waits in the queue, loads the sandbox or moves files is free', async () => {
  const session = await openSession()
  await session.upload('big.bin', Buffer.alloc(8 << 20, 7))
  const runs = await Promise.all(
    Array.from({ length: 8 }, () => script(session, 'javascript', 'setTimeout(() => {}, 200)', 5_000_000n)),
  )
  const state = await session.state()
  for (const run of runs) {
    const waitedMs = Date.parse(run.endedAt ?? '') - Date.parse(run.createdAt)
    expect(run.effectiveMs).toBeGreaterThanOrEqual(200)
    expect(run.effectiveMs).toBeLessThanOrEqual(waitedMs + 1)
  }
  expect(state.consumedMicros).toBe(runs.reduce((sum, run) => sum + run.costMicros, 0n))
})

test('files go in and out with their SHA-256, and names that leave the workspace are refused', async () => {
  const session = await openSession()
  const bytes = new Uint8Array(Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251)))
  await session.upload('in/data.bin', bytes)
  const code =
    "const fs = require('fs'); fs.writeFileSync('out.bin', fs.readFileSync('in/data.bin').reverse())"
  expect(await script(session, 'javascript', code)).toMatchObject({ status: 'completed' })
  expect(await session.download('out.bin')).toEqual(new Uint8Array(bytes).reverse())
  expect((await session.files()).map((file) => file.name).sort()).toEqual(['in/data.bin', 'out.bin'])
  await script(session, 'javascript', "require('fs').symlinkSync('/etc/passwd', 'link')")
  await expect(session.download('link')).rejects.toMatchObject({ code: 'workspace_path_refused' })
  for (const name of ['/etc/passwd', 'a//b']) {
    await expect(session.download(name)).rejects.toMatchObject({
      code: expect.stringMatching(/workspace_path_refused|not_found/),
    })
  }
  await expect(session.download('missing.txt')).rejects.toMatchObject({ code: 'not_found' })
})

test('a tool sees no secret of node or coordinator, and no network', async () => {
  const session = await openSession()
  const code = `
const fs = require('fs')
const tryRead = (path) => { try { return fs.readFileSync(path, 'utf8').slice(0, 40) } catch (error) { return error.code } }
const seen = { env: Object.keys(process.env).sort(), passwd: tryRead('/etc/shadow'), key: tryRead(${JSON.stringify(node.dataDir)} + '/provider.json'), pids: fs.readdirSync('/proc').filter((n) => /^[0-9]+$/.test(n)).length }
require('net').connect(${new URL(stack.url).port}, '127.0.0.1').on('error', (error) => { seen.net = error.code; console.log(JSON.stringify(seen)) }).on('connect', () => { seen.net = 'open'; console.log(JSON.stringify(seen)) })`
  const { stdout } = await script(session, 'javascript', code)
  const seen = JSON.parse(stdout ?? '{}') as {
    env: string[]
    passwd: string
    key: string
    pids: number
    net: string
  }
  expect(seen.key).toBe('ENOENT')
  expect(seen.passwd).toBe('ENOENT')
  expect(seen.net).not.toBe('open')
  expect(seen.pids).toBeLessThanOrEqual(3)
  expect(seen.env.filter((name) => name.startsWith('ORIEN'))).toEqual([])
})

test('a node killed in the middle of a run leaves no process; back again it reports, and the session settles', async () => {
  const session = await openSession()
  const mark = `orphan-${stack.url.slice(-5)}`
  const done = await script(session, 'javascript', 'console.log(1)')
  const run = await session.execute({
    tool: 'execute_script',
    args: {
      language: 'javascript',
      code: `process.title = '${mark}'; console.log('on'); setInterval(() => {}, 1e6) // ${mark}`,
    },
  })
  for await (const piece of run.logs()) {
    if (piece.text.includes('on')) break
  }
  await node.kill()
  await expect.poll(() => alive(mark), { timeout: 10_000 }).toBe(0)
  await node.start()
  const result = await run.wait()
  expect(result).toMatchObject({ status: 'failed', costMicros: 0n })
  await session.end()
  const settled = await session.settled()
  expect(settled.consumedMicros).toBe(done.costMicros)
  expect(execFileSync('mount', { encoding: 'utf8' })).not.toContain(session.id)
}, 60_000)

test('a coordinator that is away when a run ends gets the receipt later, once, and pays it', async () => {
  const session = await openSession()
  await script(session, 'javascript', 'console.log(1)')
  const code = "console.log('on'); setTimeout(() => {}, 1500)"
  const run = await session.execute({
    tool: 'execute_script',
    args: { language: 'javascript', code },
    maxCostMicros: micros(10_000_000n),
  })
  for await (const piece of run.logs()) {
    if (piece.text.includes('on')) break
  }
  await stack.restart()
  const result = await run.wait()
  expect(result.status).toBe('completed')
  expect(result.effectiveMs).toBeGreaterThanOrEqual(1_500)
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const { rows } = await pool.query('select count(*)::int as count from receipts where execution_id = $1', [
    run.id,
  ])
  await pool.end()
  expect(rows[0].count).toBe(1)
}, 60_000)
