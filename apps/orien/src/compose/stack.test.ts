import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPool } from '@orien/coordinator'
import { Orien } from '@orien/sdk'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { spawnOrien } from '../commands/fixtures/spawnOrien.ts'
import { readSettings } from '../config.ts'
import { runMission } from '../mission/mission.ts'
import { missionJson } from '../mission/missionJson.ts'
import { pathsIn } from './dataDir.ts'
import { missionPlace } from './missionPlace.ts'
import { type Stack, startStack } from './stack.ts'

// Some of these start several commands one after the other, each of them a process.
vi.setConfig({ testTimeout: 60_000 })

const dataDir = mkdtempSync(join(tmpdir(), 'orien-stack-'))
const home = mkdtempSync(join(tmpdir(), 'orien-home-'))
const warnings: string[] = []
let stack: Stack

const start = () =>
  startStack({
    settings: readSettings({ PATH: process.env.PATH }),
    dataDir,
    port: 0,
    hasNode: true,
    isFresh: false,
    report: { part: () => {}, warn: (line) => warnings.push(line) },
    signal: new AbortController().signal,
  })

beforeAll(async () => {
  stack = await start()
})

afterAll(async () => {
  await stack?.stop()
  rmSync(dataDir, { recursive: true, force: true })
  rmSync(home, { recursive: true, force: true })
})

/** The command as the agent of a person who has a home and a coordinator. */
function orien(...args: string[]) {
  return spawnOrien(args, {
    env: { HOME: home, ORIEN_URL: stack.url, ORIEN_RPC_URL: stack.rpcUrl },
    cwd: home,
  })
}

test('a mission ends with a bill that the chain verifies, and with the rest refunded', async () => {
  const silent = {
    wallet: () => {},
    opened: () => {},
    uploaded: () => {},
    step: () => {},
    started: () => {},
    output: () => {},
    meter: () => {},
    finished: () => {},
    saved: () => {},
    ending: () => {},
  }
  const mission = await runMission(missionPlace(stack), silent, new AbortController().signal)
  const json = missionJson(mission)
  expect(json.verified).toBe(true)
  expect(json.executions.map(({ tool, status, reason }) => [tool, status, reason])).toEqual([
    ['execute_script', 'completed', null],
    ['run_build', 'completed', null],
    ['render_scene', 'completed', null],
    ['execute_script', 'failed', 'budget_exhausted'],
  ])
  const { providerMicros, platformMicros, reserveMicros, refundedMicros } = json.settlement
  const costs = json.executions.reduce((sum, { costMicros }) => sum + costMicros, 0n)
  expect(costs).toBe(json.consumedMicros)
  expect(providerMicros + platformMicros + reserveMicros).toBe(json.consumedMicros)
  expect(json.consumedMicros + refundedMicros).toBe(json.budgetMicros)
  expect(readFileSync(json.billPath, 'utf8')).toBe(mission.billText)
  const picture = readFileSync(join(pathsIn(dataDir).missions, json.sessionId, 'cover.png'))
  expect(picture.subarray(1, 4).toString()).toBe('PNG')
})

describe('the command, as an agent uses it', () => {
  test('makes a wallet once, says so, and funds it on a local chain', async () => {
    const first = await orien('wallet', '--fund', '2', '--json')
    const second = await orien('wallet', '--json')
    expect(first.stderr).toMatch(/^made a new wallet 0x/)
    expect([first.code, second.code, second.stderr]).toEqual([0, 0, ''])
    expect(JSON.parse(second.stdout)).toEqual(JSON.parse(first.stdout))
    expect(JSON.parse(second.stdout).balanceMicros).toBe('2000000')
  })

  test('lists who offers a tool at a price', async () => {
    const offered = await orien(
      'providers',
      '--tool',
      'render_scene',
      '--max-rate',
      '0.60',
      '--online',
      '--json',
    )
    const tooCheap = await orien('providers', '--max-rate', '0.59', '--json')
    expect(JSON.parse(offered.stdout).items.map(({ id }: { id: string }) => id)).toEqual([stack.provider?.id])
    expect(JSON.parse(tooCheap.stdout)).toEqual({ items: [] })
  })

  test('runs a tool: streams apart, files in and out, the money settled', async () => {
    writeFileSync(join(home, 'in.txt'), 'from home')
    const code = [
      `import { readFileSync, writeFileSync } from 'node:fs'`,
      `const text = readFileSync('data/in.txt', 'utf8')`,
      `writeFileSync('out.txt', text.toUpperCase())`,
      `console.log(text)`,
      `console.error('aside')`,
    ]
    writeFileSync(join(home, 'tool.js'), code.join('\n'))
    const tool = [
      'run',
      'Development node',
      'execute_script',
      '--arg',
      'language=javascript',
      'code=@tool.js',
    ]
    const {
      code: exit,
      stdout,
      stderr,
    } = await orien(...tool, ...['--file', 'in.txt:data/in.txt', '--out', 'results', '--budget', '0.10'])
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'from home\n' })
    expect(stderr).toMatch(/^aside\ncompleted .* USDC\nsaved results\/out.txt\nsettlement final in 0x/)
    expect(readFileSync(join(home, 'results/out.txt'), 'utf8')).toBe('FROM HOME')
  })

  test('ends as the tool ends', async () => {
    const args = ['--arg', 'language=javascript', 'code=process.exit(7)', '--budget', '0.10']
    const { code, stderr } = await orien('run', stack.provider?.id ?? '', 'execute_script', ...args)
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^nonzero_exit 7 /) })
  })

  test('refuses arguments that the tool does not take before anything is paid', async () => {
    const before = await orien('session', 'show', '--json')
    const { code, stderr } = await orien(
      'run',
      'Development node',
      'render_scene',
      '--arg',
      'width=7',
      '--budget',
      '1',
    )
    const after = await orien('session', 'show', '--json')
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/args.width must be at least 64/),
    })
    expect(after.stdout).toBe(before.stdout)
  })

  test('opens a session, works in it, ends it, and verifies its bill without the coordinator', async () => {
    const opened = await orien('session', 'open', stack.provider?.id ?? '', '--budget', '0.20', '--json')
    const { id } = JSON.parse(opened.stdout)
    const run = await orien('run', id, 'execute_script', '--arg', 'language=javascript', 'code=1', '--json')
    const ended = await orien('session', 'end', id, '--json')
    const bill = await orien('bill', id, '--out', 'bill.json')
    const verified = await orien('verify', 'bill.json')
    expect([opened, run, ended, bill, verified].map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
    expect(JSON.parse(ended.stdout)).toMatchObject({
      status: 'settled',
      consumedMicros: JSON.parse(run.stdout).execution.costMicros,
    })
    expect(bill.stdout).toMatch(/\ndeposit +0.200000\n/)
    expect(verified.stdout).toMatch(/\nverified\n$/)
  })
})

test('the audit finds no drift, and compares every settlement with the chain', async () => {
  const { code, stdout, stderr } = await orien('reconcile', '--data-dir', dataDir)
  expect({ code, verdict: stdout.trimEnd().split('\n').at(-1) }).toEqual({ code: 0, verdict: 'no drift' })
  expect(stderr).toMatch(/^[1-9]\d* channels and [1-9]\d* settlements compared with the chain\n$/)
})

test('the audit names a settlement that the chain does not have, and a ledger that does not add up', async () => {
  const { databaseUrl } = JSON.parse(readFileSync(pathsIn(dataDir).running, 'utf8'))
  const pool = createPool({ url: databaseUrl, connections: 1 })
  try {
    await pool.query(`update transactions set tx_hash = '0x' || repeat('0', 64)
      where id = (select min(id) from transactions where kind = 'close')`)
    const oneMore = `update ledger_transfers set amounts_micros[1] = amounts_micros[1] + 1
      where id = (select min(id) from ledger_transfers)`
    await expect(pool.query(oneMore)).rejects.toThrow('ledger_transfers_balanced')
    await pool.query(`alter table ledger_transfers drop constraint ledger_transfers_balanced`)
    await pool.query(oneMore)
  } finally {
    await pool.end()
  }
  const { code, stdout } = await orien('reconcile', '--json', '--data-dir', dataDir)
  const found = JSON.parse(stdout).checks.filter(({ violations }: { violations: number }) => violations > 0)
  expect(code).toBe(1)
  expect(found.map(({ check }: { check: string }) => check)).toEqual(
    expect.arrayContaining(['all entries sum to zero', 'every settlement is on the chain, share by share']),
  )
})

test('a node that dies is started again and is online again', async () => {
  const pid = Number(readFileSync(join(pathsIn(dataDir).provider, 'node.lock'), 'utf8').split(' ')[0])
  process.kill(pid, 'SIGKILL')
  const client = new Orien({ baseUrl: stack.url })
  const present = async () => (await client.providers({ online: true })).length
  await vi.waitUntil(async () => (await present()) === 0, { timeout: 20_000 })
  await vi.waitUntil(async () => (await present()) === 1, { timeout: 60_000 })
  expect(warnings.at(-1)).toMatch(/^the provider node is started again: it was ended by SIGKILL/)
}, 120_000)

test('a database whose chain is gone is put aside with one loud line, and a fresh one is begun', async () => {
  await stack.stop()
  rmSync(pathsIn(dataDir).chainState)
  warnings.length = 0
  const formerId = stack.provider?.id
  stack = await start()
  const [loud] = warnings
  const { aside } = pathsIn(dataDir)
  const [folder = ''] = readdirSync(aside)
  expect(loud).toBe(
    `STARTING FRESH: the data belongs to a chain or an escrow contract that is not there any more; it is now in ${join(aside, folder)}`,
  )
  expect(existsSync(join(aside, folder, 'postgres'))).toBe(true)
  expect(stack.provider?.id).not.toBe(formerId)
  expect(existsSync(pathsIn(dataDir).missions)).toBe(true)
})
