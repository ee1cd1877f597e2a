import { orienEscrowAbi } from '@orien/contracts'
import { invariant } from '@orien/protocol'
import { keccak256 } from 'viem'
import type { World } from '../world.ts'
import { batch, singleVerbs, together } from './batches.ts'
import { type Cast, type Step, selectorOf } from './cast.ts'
import { seededChance } from './chance.ts'
import { compareChannels, compareMoney } from './compare.ts'
import { gather, outcomesOf, submit } from './crowd.ts'
import { tokenDuty } from './exits.ts'

/** What a run did: how many calls of each kind came to what. */
export type FuzzReport = { calls: number; succeeded: number; counts: Map<string, number> }

/** Of the calls of one transaction, by what each takes at most; they take less than half, and its cap is 16.7 million. */
const chunkGas = 28_000_000n

/** Calls of one block, with what the escrow owes after each. */
type Chunk = { first: number; seconds: bigint; steps: Step[]; owed: bigint[] }

/**
 * Plays random calls of many parties on the escrow and on the ghost, and compares after every call: whether it succeeds,
 * with which error, what a batch says of each claim, and that the escrow holds what it owes, to the micro-USDC. Every
 * few transactions all balances and credits are compared, at the end all channels.
 *
 * @param world with a close grace of 60 s; the calls of one `tryAll` count as one
 * @throws InvariantViolation at the first difference, naming call and seed
 */
export async function runFuzz(
  world: World,
  { seed, calls }: { seed: number; calls: number },
): Promise<FuzzReport> {
  const chance = seededChance(seed)
  const { cast, crowd } = await gather(world, await world.actor(), chance)
  const report: FuzzReport = { calls: 0, succeeded: 0, counts: new Map() }
  cast.ghost.now = BigInt(await world.now())
  let next: Chunk | null = makeChunk(cast, 0, calls)
  while (next !== null) {
    const chunk: Chunk = next
    const done = chunk.first + chunk.steps.length
    const compares = done >= calls || chance.oneIn(5)
    const hash = await submit(world, crowd, chunk.steps, chunk.seconds)
    // The next calls are made up while these are mined, unless the ghost has to stand still.
    next = compares ? null : makeChunk(cast, done, calls)
    check(chunk, await outcomesOf(world, hash), seed)
    for (const step of chunk.steps) count(report, step)
    if (!compares) continue
    await compareMoney(world, cast, crowd)
    next = done < calls ? makeChunk(cast, done, calls) : null
  }
  await compareChannels(world, cast, crowd)
  return report
}

function makeChunk(cast: Cast, first: number, calls: number): Chunk {
  const { chance, ghost } = cast
  ghost.now += 1n + BigInt(chance.below(chance.oneIn(3) ? 70 : 3))
  const chunk: Chunk = { first, seconds: ghost.now, steps: [], owed: [] }
  let gas = 0n
  while (gas < chunkGas && first + chunk.steps.length < calls) {
    const step = someStep(cast)
    gas += step.gas
    chunk.steps.push(step)
    chunk.owed.push(ghost.owed)
  }
  return chunk
}

function someStep(cast: Cast): Step {
  const { chance } = cast
  if (chance.oneIn(25)) return tokenDuty(cast)
  if (chance.oneIn(8)) return batch(cast)
  if (chance.oneIn(25)) return together(cast)
  return chance.pick(singleVerbs)(cast)
}

function check(
  { first, steps, owed }: Chunk,
  outcomes: Awaited<ReturnType<typeof outcomesOf>>,
  seed: number,
): void {
  invariant(outcomes.length === steps.length, 'an outcome for each step')
  for (const [index, { verb, actor, verdict, returned }] of steps.entries()) {
    const outcome = outcomes[index]
    invariant(outcome !== undefined, 'an outcome for each step')
    const told = `call ${first + index} of seed ${seed}, ${verb} by actor ${actor}`
    const error = outcome.succeeded ? null : outcome.result.slice(0, 10)
    const expected = verdict === null ? null : selectorOf(verdict)
    invariant(error === expected, `${told}: expected ${verdict ?? 'success'}, got ${nameOf(error)}`)
    const isReturned = returned === undefined || outcome.result === keccak256(returned)
    invariant(isReturned, `${told}: each claim or call is refused or done as expected`)
    const owes = owed[index]
    invariant(outcome.balance === owes, `${told}: the escrow holds ${outcome.balance} and owes ${owes}`)
  }
}

function count(report: FuzzReport, { verb, verdict }: Step): void {
  const kind = `${verb.startsWith('tryAll') ? 'tryAll' : verb}: ${verdict ?? 'ok'}`
  report.calls += 1
  if (verdict === null) report.succeeded += 1
  report.counts.set(kind, (report.counts.get(kind) ?? 0) + 1)
}

function nameOf(selector: string | null): string {
  const errors = orienEscrowAbi.flatMap((item) => (item.type === 'error' ? [item.name] : []))
  return errors.find((name) => selectorOf(name) === selector) ?? selector ?? 'success'
}
