import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ALL_ATTACKS, attackInside, attackOutside, type Verdicts } from './attempt.ts'
import { DEFENCES } from './defences.ts'
import { enterNamedGroup } from './namedGroup.ts'
import { buildPrograms } from './programs.ts'
import { ATTACKS, type Attack } from './table.ts'
import { openTargets, type Targets } from './targets.ts'

const SANDBOXES_AT_ONCE = 2
const PATIENCE_MS = 240_000

/** Every combination of defences that some attack needs gone, and nothing gone at all. */
const MISSING = [
  ...new Map(
    ALL_ATTACKS.flatMap(({ stoppedBy }) => stoppedBy).map((names) => [
      names.toSorted().join(),
      names.toSorted(),
    ]),
  ).values(),
]

const isOfFilter = (missing: readonly string[]) => missing.some((name) => /^(call|guard):/.test(name))
const isInC = ({ program }: Attack) => !program.includes('.')

/** A hole in the filter is looked for by the attacks in C, which make the calls themselves; it takes the others no further. */
function suiteFor(missing: readonly string[]): readonly Attack[] {
  if (missing.length === 0 || missing.includes('cgroups')) return ALL_ATTACKS
  // Process 1 is then the machine's own.
  const onInit = missing.includes('pidNamespace') ? ATTACKS['the process that keeps the meter'] : []
  return ALL_ATTACKS.filter(
    (attack) =>
      attack.program !== 'much-memory.mjs' &&
      !onInit?.includes(attack) &&
      (isInC(attack) || !isOfFilter(missing)),
  )
}

const comesThrough = ({ stoppedBy }: Attack, missing: readonly string[]) =>
  stoppedBy.some((names) => names.every((name) => missing.includes(name)))

let targets: Targets
let group: ReturnType<typeof enterNamedGroup>
let controls: Verdicts
const found = new Map<string, { verdicts: Verdicts; output: string; stop: string }>()

beforeAll(async () => {
  const programs = await buildPrograms()
  targets = await openTargets()
  group = enterNamedGroup(targets.word)
  controls = (await attackOutside(ALL_ATTACKS, targets, programs)).verdicts
  const left: (readonly string[])[] = [...MISSING, []]
  const work = async () => {
    for (let missing = left.pop(); missing !== undefined; missing = left.pop()) {
      const { verdicts, output, facts } = await attackInside(suiteFor(missing), targets, programs, missing)
      found.set(missing.join(), { verdicts, output, stop: facts.detail ?? facts.stop })
    }
  }
  await Promise.all(Array.from({ length: SANDBOXES_AT_ONCE }, work))
}, PATIENCE_MS)
afterAll(async () => {
  group.leave()
  await targets.close()
})

describe('the suite', () => {
  it('has at least sixty attacks, each on a boundary of its own', () => {
    expect(ALL_ATTACKS.length).toBeGreaterThanOrEqual(60)
    expect(new Set(ALL_ATTACKS.map(({ program }) => program)).size).toBe(ALL_ATTACKS.length)
    expect(new Set(ALL_ATTACKS.map(({ boundary }) => boundary)).size).toBe(ALL_ATTACKS.length)
  })

  it('says of each defence what it stops', () => {
    const named = new Set(MISSING.flat())
    expect(Object.keys(DEFENCES).filter((name) => !named.has(name))).toEqual([])
  })

  it.each(ALL_ATTACKS)('$boundary: the attack works where there is no sandbox ($program)', ({ program }) => {
    expect(controls.get(program)).toBe('escaped')
  })
})

describe('a sandbox with all its defences', () => {
  it.each(ALL_ATTACKS)('keeps a tool from $boundary ($program)', ({ program }) => {
    expect(found.get('')?.verdicts.get(program)).toBe('stopped')
  })
})

describe('without one defence exactly the attacks that it stops come through', () => {
  it.each(MISSING.map((missing) => ({ missing, name: missing.join(' and ') })))('$name', ({ missing }) => {
    const { verdicts, output, stop } = found.get(missing.join()) ?? {}
    const wanted = Object.fromEntries(
      suiteFor(missing).map((attack) => [
        attack.program,
        comesThrough(attack, missing) ? 'escaped' : 'stopped',
      ]),
    )
    expect(Object.fromEntries(verdicts ?? []), `${stop}\n${output}`).toEqual(wanted)
  })
})
