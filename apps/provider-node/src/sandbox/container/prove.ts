import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runCanaries } from '../canaries.ts'
import type { Driver, Isolation, Limits, RunFacts, SandboxMode } from '../driver.ts'
import { SANDBOX_LIMITS } from '../limits.ts'
import { buildHelper } from '../native.ts'

const MEBIBYTE = 1_048_576
const LIMITS: Limits = {
  timeMs: SANDBOX_LIMITS.canaryMs,
  memoryBytes: 64 * MEBIBYTE,
  processes: 16,
  outputBytes: 65_536,
  diskBytes: 4 * MEBIBYTE,
}
const DEADLINE_MS = 100
const BURNT_MS = 50

/** One promise of a driver, how it is tried, and what shows that it was kept. */
type Trial = {
  name: string
  words: readonly string[]
  deadlineMs?: number
  isKept(facts: RunFacts): boolean
}

/**
 * What the attacks of the self-test do not try: limits, the deadline, and the meter. For bubblewrap this is known from
 * its own making; an engine is somebody else's, may be set up in any way, and is asked each time.
 */
const TRIALS: readonly Trial[] = [
  {
    name: 'memory_limit',
    words: ['crowd', '4', '24'],
    isKept: ({ stop, maxRssBytes }) => stop === 'out_of_memory' && maxRssBytes <= LIMITS.memoryBytes,
  },
  {
    name: 'process_limit',
    words: ['forks', '17'],
    isKept: ({ stop, exitCode }) => stop === 'exit' && exitCode === 0,
  },
  { name: 'disk_limit', words: ['fill', '/tmp/a', '6'], isKept: ({ stop }) => stop === 'disk_limit' },
  {
    name: 'deadline',
    words: ['daemons', '5', '0', '60000'],
    deadlineMs: DEADLINE_MS,
    isKept: ({ stop, effectiveMicros }) => stop === 'deadline' && effectiveMicros === DEADLINE_MS * 1_000,
  },
  {
    name: 'meter',
    words: ['orphans', '2', `${BURNT_MS}`],
    isKept: ({ stop, cpuMicros, effectiveMicros, sources }) =>
      stop === 'exit' &&
      cpuMicros >= 2 * BURNT_MS * 1_000 &&
      effectiveMicros >= BURNT_MS * 1_000 &&
      sources.wall === 'helper' &&
      sources.cpu === 'cgroup',
  },
]

async function tryAll(driver: Driver, stateDir: string): Promise<Isolation['canaries']> {
  const canary = await buildHelper(join(stateDir, 'native'), 'orien-canary')
  const workspaceDir = await mkdtemp(join(stateDir, 'trial-'))
  try {
    const outcomes: Isolation['canaries'] = []
    for (const { name, words, deadlineMs = SANDBOX_LIMITS.canaryMs, isKept } of TRIALS) {
      const argv = [canary.path, ...words]
      const spec = {
        executionId: 'trial',
        workspaceDir,
        argv,
        env: {},
        limits: LIMITS,
        deadlineMs,
        readOnlyPaths: [],
      }
      outcomes.push({ name, contained: isKept(await driver.run(spec, () => {}).finished) })
    }
    return outcomes
  } finally {
    await driver.release(workspaceDir)
    await rm(workspaceDir, { recursive: true, force: true })
  }
}

/** Attacks the engine that is there, and tries its limits; strangers are served only where all of it holds. */
export async function proveContainers(
  driver: Driver,
  stateDir: string,
  mode: SandboxMode,
): Promise<Isolation> {
  const { canaries: attacks, facts } = await runCanaries(driver, stateDir)
  const trials = facts.stop === 'exit' ? await tryAll(driver, stateDir) : []
  const canaries = [...attacks, ...trials]
  const failed = canaries.filter(({ contained }) => !contained).map(({ name }) => name)
  if (facts.stop === 'exit' && failed.length === 0)
    return {
      driver: 'container',
      isolationClass: 'namespaces+cgroups',
      servesStrangers: true,
      mode,
      canaries,
    }
  const detail =
    facts.stop === 'exit'
      ? `not contained: ${failed.join(', ')}`
      : (facts.detail ?? `the self-test ended with ${facts.stop}`)
  return {
    ...{ driver: 'container', isolationClass: 'none', servesStrangers: false },
    refusal: { code: 'canary_failed', detail },
    canaries,
  }
}
