import { micros } from '@orien/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Arena, openArena } from './api.ts'
import { ALL_ATTACKS, attackOutside, planOf, readVerdicts, type Verdicts } from './attempt.ts'
import { enterNamedGroup } from './namedGroup.ts'
import { buildPrograms } from './programs.ts'
import { openTargets, type Targets } from './targets.ts'

const PATIENCE_MS = 180_000
const MODES = ['warm', 'resident'] as const

let programs: string
let targets: Targets
let group: ReturnType<typeof enterNamedGroup>
let controls: Verdicts

beforeAll(async () => {
  programs = await buildPrograms()
  targets = await openTargets()
  group = enterNamedGroup(targets.word)
  controls = (await attackOutside(ALL_ATTACKS, targets, programs)).verdicts
}, PATIENCE_MS)
afterAll(async () => {
  group.leave()
  await targets.close()
})

it('every attack works outside, so that its failing inside says something', () => {
  expect([...controls].filter(([, verdict]) => verdict !== 'escaped')).toEqual([])
  expect(controls.size).toBe(ALL_ATTACKS.length)
})

describe.each(MODES)('an agent that attacks a node with %s sandboxes through the API', (mode) => {
  let arena: Arena
  const rounds: Verdicts[] = []

  beforeAll(async () => {
    const environment = { ORIEN_SANDBOX_MODE: mode, [targets.environmentName]: 'ORIEN' }
    arena = await openArena(programs, environment, targets.runtimeFile)
    const session = await arena.openSession()
    await session.upload('plan', Buffer.from(planOf(ALL_ATTACKS, targets, 'inside', programs)))
    // The second round is in a sandbox that the first one has been in, or has left its traces beside.
    for (let round = 0; round < 2; round += 1) {
      const { stdout = '' } = await session.run({ tool: 'attack', maxCostMicros: micros(60_000_000n) })
      rounds.push(readVerdicts(stdout ?? ''))
    }
  }, PATIENCE_MS)
  afterAll(() => arena.close())

  it.each(ALL_ATTACKS)('gets nowhere with $boundary ($program)', ({ program }) => {
    expect(rounds.map((verdicts) => verdicts.get(program))).toEqual(['stopped', 'stopped'])
  })
})
