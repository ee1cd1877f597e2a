/**
 * Runs the contract suite of sandbox drivers against the container engine of this machine, and records that it passed.
 *
 *   node apps/provider-node/scripts/proveEngine.ts <engine socket> <data directory of the node>
 *
 * Exit codes: 0 proved and recorded, 1 something failed (nothing is recorded), 2 not run.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startVitest } from 'vitest/node'
import { type Engine, openEngine } from '../src/sandbox/container/engine.ts'
import { proofPath, recordProof } from '../src/sandbox/container/proof.ts'

const [socketPath, dataDir] = process.argv.slice(2)

async function proveWith(engine: Engine, socket: string, stateDir: string): Promise<number> {
  const vitest = await startVitest('test', [], {
    root: fileURLToPath(new URL('..', import.meta.url)),
    config: false,
    include: ['src/sandbox/container/container.contract.ts'],
    watch: false,
    testTimeout: 60_000,
    provide: { engineSocket: socket },
  })
  const files = vitest.state.getFiles()
  await vitest.close()
  if (files.length === 0 || files.some(({ result }) => result?.state !== 'pass')) return 1
  await mkdir(stateDir, { recursive: true, mode: 0o711 })
  await recordProof(proofPath(stateDir), engine.identity)
  process.stdout.write(`proved: engine ${engine.identity.version} (${engine.identity.runtime})\n`)
  return 0
}

if (!socketPath || !dataDir) {
  process.stderr.write('not run: name the engine’s socket and the data directory of the node\n')
  process.exitCode = 2
} else {
  const engine = await openEngine(socketPath).catch(() => null)
  if (engine) process.exitCode = await proveWith(engine, socketPath, join(dataDir, 'sandbox', 'container'))
  else {
    process.stderr.write('not run: no container engine answers there\n')
    process.exitCode = 2
  }
}
