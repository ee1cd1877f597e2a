import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Hex } from '@orien/protocol'
import type { Timing } from '@orien/provider-node'
import { startLocalChain } from '@orien/rails'
import { createPublicClient, createTestClient, http } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { type Ended, spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import { fiatTokenAbi } from '../../packages/contracts/src/index.ts'
import { freePort } from '../chaos/ports.ts'
import type { CoordinatorSettings } from '../chaos/settings.ts'
import { createTestDatabase } from '../harness/postgres.ts'
import { manageProcess } from '../harness/processes.ts'
import { startRealNode } from '../harness/realNode.ts'
import type { StackPlace } from '../harness/stack.ts'

const coordinatorMain = fileURLToPath(new URL('../chaos/parts/coordinator.ts', import.meta.url))

/** A coordinator, a node and a chain that can be left by killing the first. */
export type ExitPlace = Awaited<ReturnType<typeof openPlace>>

/** Everything real and each a process of its own, so that the coordinator can be killed and its database removed. */
export async function openPlace(timing?: Partial<Timing>) {
  const dir = mkdtempSync(join(tmpdir(), 'orien-exits-'))
  const [chain, database, port] = await Promise.all([startLocalChain(), createTestDatabase(), freePort()])
  const url = `http://127.0.0.1:${port}`
  const coordinator = planCoordinator({ dir, port, url, databaseUrl: database.url, rpcUrl: chain.rpcUrl })
  await coordinator.start()
  const stack: StackPlace = { url, chain }
  const node = await startRealNode(stack, { rateMicrosPerMinute: 6_000_000n, ...(timing && { timing }) })
  const reader = createPublicClient({ transport: http(chain.rpcUrl) })
  const clock = createTestClient({ mode: 'anvil', chain: foundry, transport: http(chain.rpcUrl) })
  return {
    dir,
    chain,
    url,
    node,
    reader,
    /** Micro-USDC that an account holds on the chain. */
    balanceOf: (account: Hex): Promise<bigint> =>
      reader.readContract({
        address: chain.usdc,
        abi: fiatTokenAbi,
        functionName: 'balanceOf',
        args: [account],
      }),
    /** A wallet in a key file, as `orien` reads it. */
    wallet: (name: string) => {
      const privateKey = generatePrivateKey()
      const keyFile = join(dir, name)
      writeFileSync(keyFile, `${privateKey}\n`, { mode: 0o600 })
      return { keyFile, privateKey, address: privateKeyToAccount(privateKey).address.toLowerCase() as Hex }
    },
    /** Moves the chain's time. */
    pass: async (seconds: number) => {
      await clock.increaseTime({ seconds })
      await clock.mine({ blocks: 1 })
    },
    /** kill -9, and not a row of its database is left. */
    removeCoordinator: async () => {
      await coordinator.end('SIGKILL')
      await database.drop()
    },
    close: async () => {
      await coordinator.end('SIGKILL')
      await node.stop()
      await database.drop()
      await chain.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

type CoordinatorPlace = { dir: string; port: number; url: string; databaseUrl: string; rpcUrl: string }

function planCoordinator({ dir, port, url, databaseUrl, rpcUrl }: CoordinatorPlace) {
  const settings: CoordinatorSettings = {
    config: {
      host: '127.0.0.1',
      port,
      baseUrl: url,
      dataDir: join(dir, 'coordinator'),
      isProduction: false,
      requestsPerMinute: 1_000_000,
      leaseMs: 900_000,
      channelLookMs: 200,
      sweepEveryMs: 200,
      logLevel: 'info',
      version: 'exits',
    },
    databaseUrl,
    rpcUrl,
    directRpcUrl: rpcUrl,
    profile: 'local',
  }
  return manageProcess(() => ({
    name: 'coordinator',
    command: [process.execPath, coordinatorMain, JSON.stringify(settings)],
    logFile: join(dir, 'coordinator.log'),
    isReady: (line) => line === 'ready',
  }))
}

/** One `orien` command in a fresh process that knows nothing but its arguments; with `--json` its result is parsed. */
export async function orien<T>(args: readonly string[]): Promise<Ended & { result: T; error: string }> {
  const ended = await spawnOrien([...args, '--json'])
  const error = /"code":"(\w+)"/.exec(ended.stderr)?.[1] ?? ''
  const result = (ended.stdout.trim() === '' ? null : JSON.parse(ended.stdout)) as T
  return { ...ended, result, error }
}
