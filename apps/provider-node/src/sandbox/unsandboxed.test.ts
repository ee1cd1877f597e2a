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

  it('invents no figures', async () => {
    expect(await bench.run(['burn', '20'])).toMatchObject({
      cpuMicros: 0,
      maxRssBytes: 0,
      sources: { wall: 'node', cpu: 'node', memory: 'node' },
    })
  })
})
