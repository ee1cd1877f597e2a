import { billedMs, costMicros, deadlineMs, durationMs, micros } from '@orien/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Driver, RunFacts } from '../sandbox/driver.ts'
import { type Bench, openBench } from '../sandbox/testing/bench.ts'
import { RATE } from '../testing/node.ts'
import { startWorld, type World } from '../testing/world.ts'

// CLOCK_MONOTONIC is one clock for this process, the helper and every tool: what each of them saw can be put in order.
const nowNs = () => process.hrtime.bigint()
const NS_PER_MICRO = 1_000n

let bench: Bench
let world: World
let concluded: RunFacts[] = []

/** A driver whose facts are kept as the node is given them. */
const recording = (driver: Driver): Driver => ({
  ...driver,
  run: (spec, onOutput) => {
    const run = driver.run(spec, onOutput)
    const finished = run.finished.then((facts) => {
      concluded.push(facts)
      return facts
    })
    return { ...run, finished }
  },
})

beforeAll(async () => {
  bench = await openBench({ mode: 'resident' })
  world = await startWorld({ driver: recording(bench.driver) })
})
afterAll(async () => {
  await world.close()
  await bench.close()
})

/** Its own beginning, and then its clock once a millisecond until it ends or is ended. */
const watcher = (lastsMs: number) =>
  `const { writeSync } = require('fs')
   const beganNs = process.hrtime.bigint()
   for (let nextNs = beganNs, ns = beganNs; ns - beganNs < ${lastsMs}n * 1000000n; ns = process.hrtime.bigint()) {
     if (ns < nextNs) continue
     writeSync(1, ns + '\\n')
     nextNs = ns + 1000000n
   }`

async function watch(lastsMs: number, holdMicros = micros(100_000n)) {
  concluded = []
  const beforeNs = nowNs()
  const work = world.newSession().work({ tool: 'script', args: { code: watcher(lastsMs) }, holdMicros })
  const receipt = await world.run(work)
  const afterNs = nowNs()
  const seenNs = world.output(work.executionId).trimEnd().split('\n').map(BigInt)
  const [facts] = concluded
  const [firstNs = 0n, lastNs = 0n] = [seenNs[0], seenNs.at(-1)]
  return { receipt, facts, beforeNs, firstNs, lastNs, afterNs }
}

describe('the time of a receipt', () => {
  test('is the helper’s, and holds all that the tool saw of it within all that the node saw', async () => {
    const { receipt, facts, beforeNs, firstNs, lastNs, afterNs } = await watch(60)
    expect([beforeNs, firstNs, lastNs, afterNs]).toEqual(
      [beforeNs, firstNs, lastNs, afterNs].toSorted(byTime),
    )
    expect(facts).toMatchObject({ stop: 'exit', sources: { wall: 'helper' } })
    const effectiveMicros = BigInt(facts?.effectiveMicros ?? 0)
    expect(effectiveMicros).toBeGreaterThanOrEqual((lastNs - firstNs) / NS_PER_MICRO)
    expect(effectiveMicros).toBeLessThanOrEqual((afterNs - beforeNs) / NS_PER_MICRO)
    expect(receipt.effectiveMs).toBe(billedMs(facts?.effectiveMicros ?? 0, durationMs(receipt.deadlineMs)))
    expect(receipt.sources.wall).toBe('helper')
  })

  test('spans, by its dates, the life of the tool by the helper’s clock, whatever the node did meanwhile', async () => {
    const { receipt, facts } = await watch(30)
    expect(Date.parse(receipt.endedAt) - Date.parse(receipt.startedAt)).toBe(facts?.lifeMs)
  })

  test('ends at the hold to the micro-USDC, and what the stop took is in the dates alone', async () => {
    const holdMicros = micros(1_500n)
    const { receipt, facts, firstNs, lastNs } = await watch(60_000, holdMicros)
    const paidMs = deadlineMs(holdMicros, RATE)
    expect(receipt).toMatchObject({ reason: 'budget_exhausted', effectiveMs: paidMs, deadlineMs: paidMs })
    expect(receipt.costMicros).toBe(costMicros(RATE, paidMs))
    expect(receipt.costMicros).toBeLessThanOrEqual(holdMicros)
    expect(facts?.effectiveMicros).toBe(paidMs * 1_000)
    const lifeMs = Date.parse(receipt.endedAt) - Date.parse(receipt.startedAt)
    expect(lifeMs).toBeGreaterThanOrEqual(paidMs)
    // The tool saw nothing of its life after its end.
    expect(Number(lastNs - firstNs) / 1e6).toBeLessThanOrEqual(lifeMs)
  })
})

const byTime = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0)
