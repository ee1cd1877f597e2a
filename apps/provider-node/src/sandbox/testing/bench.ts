import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BubblewrapOptions, createBubblewrapDriver } from '../bubblewrap.ts'
import type { Driver, OutputChunk, RunFacts, RunSpec, SandboxMode } from '../driver.ts'
import { lendPrograms } from './programs.ts'

/** What holds in one of them holds in each. */
export const SANDBOX_MODES: readonly SandboxMode[] = ['cold', 'warm', 'resident']

const MEBIBYTE = 1_048_576

/** A driver with a state directory and a workspace of its own, for tests. */
export type Bench = {
  driver: Driver
  stateDir: string
  workspaceDir: string
  /** The program that attacks, burns and lingers on request; lies at a path that no other process has. */
  canary: string
  /** A run of the canary, or of any other command line. */
  spec(words: readonly string[], changes?: Partial<RunSpec>): RunSpec
  run(
    words: readonly string[],
    changes?: Partial<RunSpec>,
  ): Promise<RunFacts & { output: Buffer; chunks: OutputChunk[] }>
  /** Process ids on the host whose command line names the canary. */
  alive(): Promise<number[]>
  close(): Promise<void>
}

export const ROOMY = { timeMs: 15_000, memoryBytes: 256 * MEBIBYTE, processes: 64, outputBytes: MEBIBYTE }

async function processesNaming(path: string): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const named = await Promise.all(
    ids.map(async (id) => {
      const commandLine = await readFile(join('/proc', id, 'cmdline'), 'utf8').catch(() => '')
      return commandLine.includes(path) ? [Number(id)] : []
    }),
  )
  return named.flat()
}

/** @param options useCgroups false: as on a machine without writable cgroups; `make`: another driver than bubblewrap */
export async function openBench(
  options: Pick<BubblewrapOptions, 'useCgroups' | 'mode' | 'clock'> & {
    make?: (stateDir: string) => Driver
  } = {},
): Promise<Bench> {
  const root = await mkdtemp(join(tmpdir(), 'orien-bench-'))
  const [stateDir, workspaceDir] = [join(root, 'state'), join(root, 'workspace')]
  await mkdir(workspaceDir)
  await lendPrograms(join(stateDir, 'native'))
  const canary = await lendPrograms(join(root, 'native'))
  const { make, ...given } = options
  const driver = make?.(stateDir) ?? createBubblewrapDriver({ stateDir, ...given })
  const spec: Bench['spec'] = (words, changes) => ({
    executionId: 'exe_test',
    workspaceDir,
    argv: [canary, ...words],
    env: {},
    limits: ROOMY,
    deadlineMs: 60_000,
    readOnlyPaths: [],
    ...changes,
  })
  return {
    driver,
    stateDir,
    workspaceDir,
    canary,
    spec,
    run: async (words, changes) => {
      const chunks: OutputChunk[] = []
      const facts = await driver.run(spec(words, changes), (chunk) => void chunks.push(chunk)).finished
      return { ...facts, chunks, output: Buffer.concat(chunks.map(({ bytes }) => bytes)) }
    },
    alive: () => processesNaming(canary),
    close: async () => {
      await driver.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}
