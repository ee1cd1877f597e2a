/**
 * Runs points of failure against the whole system in processes of its own.
 *
 *     npm run chaos -- [--seed N] [--point K …] [--rounds N] [--only WORDS] [--list]
 */
import { shuffled } from './chance.ts'
import { reconcile } from './checks.ts'
import { readConfig } from './config.ts'
import { settingOf } from './faults.ts'
import { allPoints } from './points.ts'
import { nameOfPoint, type Outcome, runRound } from './round.ts'
import { startWorld } from './world.ts'

function verdictOf({ faults, hasStruck, isChainBroken }: Outcome): string {
  if (isChainBroken) return 'chain broke'
  if (faults.length > 0) return 'FAILED'
  return hasStruck ? 'ok' : 'not reached'
}

const config = readConfig()
const numbered = allPoints().map((point, number) => ({ point, number }))
const asked = numbered.filter(({ point }) => nameOfPoint(point).includes(config.only))
const chosen =
  config.points.length === 0
    ? shuffled(asked, config.seed).slice(0, config.rounds ?? asked.length)
    : numbered.filter(({ number }) => config.points.includes(number))

if (config.list) {
  for (const { point, number } of asked) console.log(`${number}  ${nameOfPoint(point)}`)
  process.exit(0)
}

console.log(`${chosen.length} of ${numbered.length} points, seed ${config.seed}`)
const failed: { number: number; outcome: Outcome }[] = []
let unreached = 0
// Worlds of one kind after the other: starting one takes longer than a point.
const settings = ['plain', 'unsteady chain', 'small disks', 'impatient', 'impatient, unsteady chain'] as const
const ordered = settings.flatMap((setting) =>
  chosen.filter(({ point }) => settingOf(point) === setting).map((one) => ({ ...one, setting })),
)
const drift: string[] = []
let [setting] = ordered.map((one) => one.setting)
let world = await startWorld(setting)
for (const { point, number, setting: wanted } of ordered) {
  if (wanted !== setting) {
    drift.push(...(await reconcile(world)))
    await world.stop()
    world = await startWorld(wanted)
    setting = wanted
  }
  const outcome = await runRound(world, point, `s${config.seed}p${number}`)
  const verdict = verdictOf(outcome)
  console.log(
    `${verdict.padEnd(12)}${String(number).padStart(4)}  ${Math.round(outcome.durationMs)} ms  ${nameOfPoint(point)}`,
  )
  if (!outcome.hasStruck || outcome.isChainBroken) unreached += 1
  if (outcome.faults.length === 0) continue
  if (!outcome.isChainBroken) failed.push({ number, outcome })
  for (const line of [...outcome.faults, ...outcome.errors.map((error) => `  agent: ${error}`)])
    console.log(`    ${line}`)
  console.log(`    again: npm run chaos -- --seed ${config.seed} --point ${number}   logs: ${world.dir}`)
  // What one point broke must not fail the next.
  await world.stop().catch(() => undefined)
  world = await startWorld(setting)
}
drift.push(...(await reconcile(world)))
for (const line of drift) console.log(line)
await world.stop()
console.log(`${chosen.length - failed.length} passed, ${failed.length} failed, ${unreached} not reached`)
process.exit(failed.length + drift.length === 0 ? 0 : 1)
