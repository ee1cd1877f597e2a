import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@orien/coordinator'
import { type LocalChain, startLocalChain } from '@orien/rails'
import type { Stack } from '../harness/stack.ts'
import type { Place } from './coordinator.ts'

const LOOK_EVERY_MS = 100
const program = fileURLToPath(new URL('./coordinator.ts', import.meta.url))

/** Database and chain of this process, and a coordinator in one of its own that can be killed. */
export type SoakPlace = {
  url: string
  chain: LocalChain
  postgres: EmbeddedPostgres
  logFile: string
  pid: () => number
  /** As a power cut would, and up again on the same port; resolves when it answers. */
  killCoordinator: () => Promise<void>
  /** As much of a test's stack as a real node needs. */
  asStack: () => Stack
  stop: () => Promise<void>
}

export async function openPlace(environment: Record<string, string> = {}): Promise<SoakPlace> {
  const root = mkdtempSync(join(tmpdir(), 'orien-soak-'))
  const postgres = await startEmbeddedPostgres({ dataDir: join(root, 'postgres') })
  const chain = await startLocalChain()
  const port = await freePort()
  const logFile = join(root, 'coordinator.log')
  const log = openSync(logFile, 'a')
  const given: Place = {
    port,
    dataDir: root,
    databaseUrl: postgres.url,
    rpcUrl: chain.rpcUrl,
    escrow: chain.escrow,
    token: chain.usdc,
    relayerPrivateKey: chain.relayerPrivateKey,
  }
  const url = `http://127.0.0.1:${port}`
  let child: ChildProcess
  const start = async () => {
    child = spawn(process.execPath, [program, JSON.stringify(given)], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...environment },
    })
    const orphan = child
    process.once('exit', () => orphan.kill('SIGKILL'))
    while (!(await answers(url))) {
      if (child.exitCode !== null)
        throw new TypeError(`the coordinator ended with ${child.exitCode}: ${logFile}`)
      await pause(LOOK_EVERY_MS)
    }
  }
  const end = async (signal: NodeJS.Signals) => {
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  await start()
  return {
    url,
    chain,
    postgres,
    logFile,
    pid: () => child.pid ?? 0,
    killCoordinator: async () => {
      await end('SIGKILL')
      await start()
    },
    asStack: () => ({ url, chain }) as unknown as Stack,
    stop: async () => {
      await end('SIGTERM')
      await postgres.stop()
      await chain.stop()
      rmSync(root, { recursive: true, force: true })
    },
  }
}

const answers = (url: string) =>
  fetch(`${url}/api/health`).then(
    ({ status }) => status === 200,
    () => false,
  )

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
