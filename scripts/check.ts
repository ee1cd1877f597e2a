/**
 * Everything about the source that can be checked without running the product: types, style, imports, dead code,
 * tidy rules. All of it runs even when one part fails, so that one run shows everything there is to mend.
 *
 *     node scripts/check.ts [name...]    with names: only those parts
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

type Part = { name: string; command: string; args: string[] }
type Outcome = { part: Part; isGood: boolean; output: string; durationMs: number }

/** Each part is a process with one busy core; more at once than the smallest machine has cores gains nothing. */
const PARALLEL_LIMIT = 2

const webTypes: Part[] = existsSync('apps/web/tsconfig.json')
  ? [{ name: 'types-web', command: 'tsc', args: ['-p', 'apps/web', '--noEmit'] }]
  : []

const PARTS: readonly Part[] = [
  {
    name: 'types',
    command: 'tsc',
    args: [
      '-p',
      '.',
      '--pretty',
      '--incremental',
      '--tsBuildInfoFile',
      'node_modules/.cache/orien.tsbuildinfo',
    ],
  },
  ...webTypes,
  { name: 'tidy', command: 'vitest', args: ['run', '--project', 'tidy', '--reporter=dot'] },
  { name: 'imports', command: 'depcruise', args: ['packages', 'apps', 'tests', 'scripts'] },
  { name: 'dead-code', command: 'knip', args: ['--no-progress', '--no-config-hints'] },
  { name: 'style', command: 'biome', args: ['check', '--error-on-warnings'] },
]

function run(part: Part): Promise<Outcome> {
  const startedMs = performance.now()
  return new Promise((resolve) => {
    const child = spawn(part.command, part.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    const finish = (isGood: boolean, more: string) => {
      const output = `${Buffer.concat(chunks).toString()}${more}`.trim()
      resolve({ part, isGood, output, durationMs: performance.now() - startedMs })
    }
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) => finish(false, error.message))
    child.on('close', (code) => finish(code === 0, ''))
  })
}

function print(outcome: Outcome): void {
  const seconds = (outcome.durationMs / 1000).toFixed(1)
  if (!outcome.isGood) console.log(outcome.output)
  console.log(`${outcome.isGood ? 'ok    ' : 'FAILED'} ${outcome.part.name.padEnd(10)} ${seconds} s`)
}

async function runQueue(queue: Part[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (let part = queue.shift(); part; part = queue.shift()) {
    const outcome = await run(part)
    print(outcome)
    outcomes.push(outcome)
  }
  return outcomes
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !PARTS.some((part) => part.name === name))
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; there are ${PARTS.map((part) => part.name).join(', ')}`)
  process.exit(2)
}
const queue = PARTS.filter((part) => names.length === 0 || names.includes(part.name))
const lanes = Array.from({ length: PARALLEL_LIMIT }, () => runQueue(queue))
const failed = (await Promise.all(lanes)).flat().filter((outcome) => !outcome.isGood)
if (failed.length > 0) {
  console.log(`check failed: ${failed.map((outcome) => outcome.part.name).join(', ')}`)
  process.exitCode = 1
}
