import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { OrienError } from '@orien/protocol'
import type { BenchRow } from './row.ts'
import { samplePair } from './sample.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const program = join(root, 'apps/orien/bin/orien.mjs')
const launcher = join(root, 'scripts/bootstrap.mjs')
const REFERENCE = 'bare `node -e 0`, p50'

const runNode = async (...args: string[]): Promise<void> => {
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new OrienError('internal_error', `exit code ${code}`)
}

const bareNode = () => runNode('-e', '0')

/** Runs a command that asks a coordinator with nothing in it, so that only the command's own time is measured. */
async function againstEmptyCoordinator(args: readonly string[]) {
  const server = createServer((_request, response) =>
    response.setHeader('content-type', 'application/json').end('{"items":[]}'),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  try {
    const coordinator = ['--coordinator', `http://127.0.0.1:${port}`]
    const subject = () => runNode(program, ...args, ...coordinator)
    return await samplePair({ subject, reference: bareNode, rounds: 20 })
  } finally {
    server.close()
  }
}

/** From the launcher's first instruction to the line that says that sessions can be opened. */
async function startToReady(dataDir: string): Promise<ChildProcess> {
  const args = [launcher, 'node', program, 'up', '--port', '0', '--data-dir', dataDir]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('orien ready')) return child
  throw new OrienError('internal_error', 'it ended before it was ready')
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGINT')
  await ended
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

export const rows: BenchRow[] = [
  {
    name: 'start-up: `orien --help`, p50',
    reference: REFERENCE,
    better: 'lower',
    async run() {
      const subject = () => runNode(program, '--help')
      const pair = await samplePair({ subject, reference: bareNode, rounds: 20 })
      return { value: pair.subject.p50Ms, referenceValue: pair.reference.p50Ms, unit: 'ms' }
    },
  },
  {
    name: 'start-up: `orien providers` of an empty coordinator, p50',
    reference: REFERENCE,
    better: 'lower',
    target: { value: 200 },
    async run() {
      const pair = await againstEmptyCoordinator(['providers'])
      return { value: pair.subject.p50Ms, referenceValue: pair.reference.p50Ms, unit: 'ms' }
    },
  },
  {
    name: 'start-up: installed stack from the launcher to `orien ready`, p50 of 5',
    reference: REFERENCE,
    better: 'lower',
    target: { value: 10_000 },
    async run() {
      const dataDir = mkdtempSync(join(tmpdir(), 'orien-bench-up-'))
      const upMs: number[] = []
      const bareMs: number[] = []
      try {
        // The first start makes database, keys and contracts; it is somebody's first minute, not this row.
        await stop(await startToReady(dataDir))
        for (let round = 0; round < 5; round += 1) {
          const bareFrom = performance.now()
          await bareNode()
          bareMs.push(performance.now() - bareFrom)
          const from = performance.now()
          const child = await startToReady(dataDir)
          upMs.push(performance.now() - from)
          await stop(child)
        }
      } finally {
        rmSync(dataDir, { recursive: true, force: true })
      }
      return { value: median(upMs), referenceValue: median(bareMs), unit: 'ms' }
    },
  },
]
