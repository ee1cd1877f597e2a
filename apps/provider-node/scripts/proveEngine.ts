/**
 * Runs the contract suite of sandbox drivers against a container engine of this machine.
 *
 *   node apps/provider-node/scripts/proveEngine.ts <engine socket>
 *
 * Exit codes: 0 all of it passed, 1 something failed, 2 not run.
 */
import { fileURLToPath } from 'node:url'
import { startVitest } from 'vitest/node'
import { openEngine } from '../src/sandbox/container/engine.ts'

const [socketPath] = process.argv.slice(2)

async function runContract(engineSocket: string): Promise<number> {
  const vitest = await startVitest('test', [], {
    root: fileURLToPath(new URL('..', import.meta.url)),
    config: false,
    include: ['src/sandbox/container/container.contract.ts'],
    watch: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    provide: { engineSocket },
  })
  const files = vitest.state.getFiles()
  await vitest.close()
  return files.length > 0 && files.every(({ result }) => result?.state === 'pass') ? 0 : 1
}

const engine = socketPath ? await openEngine(socketPath).catch(() => null) : null
if (socketPath && engine) {
  process.exitCode = await runContract(socketPath)
  process.stdout.write(`engine ${engine.version}: ${process.exitCode === 0 ? 'passed' : 'failed'}\n`)
} else {
  process.stderr.write('not run: name the socket of a container engine that answers\n')
  process.exitCode = 2
}
