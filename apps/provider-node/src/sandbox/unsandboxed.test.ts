import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Driver, RunFacts, RunSpec } from './driver.ts'
import { createProcessDriver } from './unsandboxed.ts'

let driver: Driver
let workspaceDir: string
beforeAll(async () => {
  workspaceDir = await mkdtemp(`${tmpdir()}/orien-bare-`)
  driver = createProcessDriver()
})
afterAll(async () => {
  await driver.close()
  await rm(workspaceDir, { recursive: true })
})

const spec = (code: string, changes: Partial<RunSpec> = {}): RunSpec => ({
  executionId: 'exe_bare',
  workspaceDir,
  argv: [process.execPath, '-e', code],
  env: {},
  limits: { timeMs: 15_000, memoryBytes: 1 << 28, processes: 32, outputBytes: 100_000 },
  deadlineMs: 15_000,
  readOnlyPaths: [],
  ...changes,
})

async function run(code: string, changes: Partial<RunSpec> = {}): Promise<RunFacts & { text: string }> {
  const parts: Uint8Array[] = []
  const facts = await driver.run(spec(code, changes), ({ bytes }) => void parts.push(bytes)).finished
  return { ...facts, text: Buffer.concat(parts).toString() }
}

describe('the driver for development', () => {
  it('never claims isolation', async () => {
    expect(await driver.detect()).toMatchObject({
      isolationClass: 'none',
      servesStrangers: false,
      refusal: { code: 'no_isolation' },
    })
  })

  it('gives output, status and input like the other driver, and invents no figures', async () => {
    const facts = await run(
      `process.stdin.on('data', (b) => process.stdout.write(b)).on('end', () => process.exit(4))`,
      {
        stdin: Buffer.from('echo'),
      },
    )
    expect(facts).toMatchObject({
      stop: 'exit',
      exitCode: 4,
      text: 'echo',
      cpuMicros: 0,
      sources: { wall: 'node', cpu: 'node', memory: 'node' },
    })
  })

  it.each([
    ['time_limit', { limits: { ...spec('').limits, timeMs: 100 } }, 100_000],
    ['deadline', { deadlineMs: 80 }, 80_000],
  ] as const)('stops at the %s and counts no more than that', async (stop, changes, effectiveMicros) => {
    expect(await run('setInterval(() => {}, 1000)', changes)).toMatchObject({
      stop,
      effectiveMicros,
      signal: 'SIGKILL',
    })
  })

  it('cuts output at its limit', async () => {
    const facts = await run(`for (;;) require('fs').writeSync(1, 'x'.repeat(1000))`)
    expect(facts).toMatchObject({ stop: 'output_limit', outputBytes: 100_000 })
  })

  it('kills the tool’s group when it is cancelled', async () => {
    const one = driver.run(
      spec(`require('child_process').spawnSync(process.execPath, ['-e', 'setInterval(() => {}, 9)'])`),
      () => {},
    )
    await one.started
    one.kill('cancelled')
    expect((await one.finished).stop).toBe('cancelled')
  })

  it('says that a program is not there', async () => {
    expect(await run('', { argv: ['/nonexistent'] })).toMatchObject({ stop: 'sandbox_error', exitCode: null })
  })
})
