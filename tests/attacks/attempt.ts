import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBubblewrapDriver } from '../../apps/provider-node/src/sandbox/bubblewrap.ts'
import type { RunFacts, RunSpec } from '../../apps/provider-node/src/sandbox/driver.ts'
import { lendPrograms } from '../../apps/provider-node/src/sandbox/testing/programs.ts'
import { openWorkspaces } from '../../apps/provider-node/src/workspace/workspaces.ts'
import { weakeningOf } from './defences.ts'
import { ATTACKS, type Attack, DISK_BYTES, FILES, MEMORY_MEBIBYTES, PROCESSES, type Side } from './table.ts'
import type { Targets } from './targets.ts'
import { weaken } from './weakened.ts'

/** Runs it with a descriptor open beside the usual three, whatever this process was started with. */
async function outputOf(command: string, args: readonly string[], cwd: string): Promise<string> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit', 'pipe'] })
  const ended = once(child, 'close')
  const pieces: Buffer[] = []
  child.stdout?.on('data', (piece: Buffer) => pieces.push(piece))
  await ended
  return Buffer.concat(pieces).toString()
}

/** `broken`: the attack itself did not work, which says nothing about the sandbox. */
type Verdict = 'escaped' | 'stopped' | 'broken'
/** By name of the attack's program. */
export type Verdicts = Map<string, Verdict>

export const ALL_ATTACKS: readonly Attack[] = Object.values(ATTACKS).flat()

/** One line an attack, as native `attacker` reads it. */
export function planOf(attacks: readonly Attack[], targets: Targets, side: Side, programs: string): string {
  const lines = attacks.map(({ program, argument }) =>
    [program, join(programs, program), argument(targets, side)].join('\t'),
  )
  return `${lines.join('\n')}\n`
}

export function readVerdicts(output: string): Verdicts {
  const lines = [...output.matchAll(/^@ (\S+) (escaped|stopped|broken)/gm)]
  return new Map(lines.map(([, name = '', verdict]) => [name, verdict as Verdict]))
}

/** The controls: the same programs, outside, with the rights of whoever runs this. */
export async function attackOutside(
  attacks: readonly Attack[],
  targets: Targets,
  programs: string,
): Promise<{ verdicts: Verdicts; output: string }> {
  const cwd = mkdtempSync(join(tmpdir(), 'orien-attack-'))
  try {
    const plan = join(cwd, 'plan')
    writeFileSync(plan, planOf(attacks, targets, 'outside', programs))
    const output = await outputOf(join(programs, 'attacker'), [plan, process.execPath], cwd)
    return { verdicts: readVerdicts(output), output }
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

export const TOOL_LIMITS = {
  timeMs: 60_000,
  memoryBytes: MEMORY_MEBIBYTES * 1_048_576,
  processes: PROCESSES,
  outputBytes: 1_048_576,
  diskBytes: DISK_BYTES,
}

/** Runs attacks in one sandbox from which the named defences are missing. */
export async function attackInside(
  attacks: readonly Attack[],
  targets: Targets,
  programs: string,
  missing: readonly string[],
): Promise<{ verdicts: Verdicts; output: string; facts: RunFacts }> {
  // A name that says nothing, below one that the attack on the mounts looks for.
  const root = mkdtempSync(join(tmpdir(), `${targets.word}-`))
  chmodSync(root, 0o755)
  const changed = join(root, 'changed')
  mkdirSync(changed, { mode: 0o755 })
  await lendPrograms(join(root, 'state', 'native'))
  const useMounts = !missing.some((name) => weakeningOf(name).plainWorkspace)
  const useCgroups = !missing.some((name) => weakeningOf(name).withoutGroups)
  const workspaces = await openWorkspaces({
    rootDir: join(root, 'workspaces'),
    sizeBytes: DISK_BYTES,
    maxFiles: FILES,
    useMounts,
  })
  const driver = createBubblewrapDriver({
    stateDir: join(root, 'state'),
    mode: 'cold',
    useCgroups,
    weaken: await weaken(missing, changed),
  })
  try {
    const workspaceDir = await workspaces.open('ses_attacks')
    writeFileSync(join(workspaceDir, 'plan'), planOf(attacks, targets, 'inside', programs))
    chmodSync(join(workspaceDir, 'plan'), 0o644)
    const output: Uint8Array[] = []
    const spec: RunSpec = {
      executionId: 'exe_attacks',
      workspaceDir,
      argv: [join(programs, 'attacker'), '/workspace/plan', process.execPath],
      env: { PATH: '/usr/bin' },
      limits: TOOL_LIMITS,
      deadlineMs: 60_000,
      readOnlyPaths: [programs, process.execPath, '/usr/bin/python3', targets.runtimeFile],
    }
    const facts = await driver.run(spec, ({ bytes }) => void output.push(bytes)).finished
    const text = Buffer.concat(output).toString()
    const verdicts = readVerdicts(text)
    // Where no group of the kernel counts memory, the whole run ends with the one that took too much: the last.
    const last = attacks.at(-1)?.program
    if (facts.stop === 'out_of_memory' && last && verdicts.size === attacks.length - 1)
      verdicts.set(last, 'stopped')
    return { verdicts, output: text, facts }
  } finally {
    await driver.close()
    await workspaces.close()
    rmSync(root, { recursive: true, force: true })
  }
}
