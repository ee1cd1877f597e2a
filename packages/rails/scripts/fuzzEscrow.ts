/**
 * Plays random calls of many parties on the escrow and on an independent ledger, and stops at the first difference.
 *
 *     node packages/rails/scripts/fuzzEscrow.ts [calls, 100,000 by default] [seed]
 *
 * The test run does the same with 5,000 calls (`src/escrow/contract/invariant.fuzz.test.ts`).
 */
import { runFuzz } from '../src/escrow/testing/fuzz/runFuzz.ts'
import { openWorld } from '../src/escrow/testing/world.ts'

const [calls = '100000', seed = '2'] = process.argv.slice(2)
const world = await openWorld({ closeGraceSeconds: 60n })
const startedMs = performance.now()
try {
  const report = await runFuzz(world, { seed: Number(seed), calls: Number(calls) })
  for (const [kind, count] of [...report.counts].toSorted())
    console.log(`${String(count).padStart(7)}  ${kind}`)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
  console.log(
    `${report.calls} calls, ${report.succeeded} succeeded, seed ${seed}, ${seconds} s, no difference`,
  )
} finally {
  await world.close()
}
