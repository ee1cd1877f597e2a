import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeDriver } from './driver.contract.ts'
import { type Bench, openBench } from './testing/bench.ts'
import { createProcessDriver } from './unsandboxed.ts'

const open = () => openBench({ make: createProcessDriver })

describeDriver('the driver for development', { open, confines: false })

describe('the driver for development, beside the contract,', () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open()
  })
  afterAll(() => bench.close())

  it('never claims isolation', async () => {
    expect(await bench.driver.detect()).toMatchObject({
      isolationClass: 'none',
      servesStrangers: false,
      refusal: { code: 'no_isolation' },
    })
  })

  it('ends a run with its tool, whoever left the group and holds the output open', async () => {
    const code = `const { spawn } = require('node:child_process')
      const left = spawn('/bin/sleep', ['600'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] })
      process.stdout.write(String(left.pid) + '\\n' + 'x'.repeat(300_000), () => process.exit(3))`
    const facts = await bench.run([], { argv: [process.execPath, '-e', code] })
    process.kill(Number.parseInt(facts.output.toString(), 10), 'SIGKILL')
    expect(facts).toMatchObject({ stop: 'exit', exitCode: 3 })
    expect(facts.output.toString()).toMatch(/^\d+\nx{300000}$/)
  })

  it('invents no figures', async () => {
    expect(await bench.run(['burn', '20'])).toMatchObject({
      cpuMicros: 0,
      maxRssBytes: 0,
      sources: { wall: 'node', cpu: 'node', memory: 'node' },
    })
  })
})
