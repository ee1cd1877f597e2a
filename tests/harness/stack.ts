import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, type Coordinator, type CoordinatorOptions, startCoordinator } from '@orien/coordinator'
import type { Hex } from '@orien/protocol'
import {
  type ChainProfile,
  chains,
  type LocalChain,
  signerFromPrivateKey,
  startLocalChain,
} from '@orien/rails'
import { Orien } from '@orien/sdk'
import { type Logger, pino } from 'pino'
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import type { TestDatabase } from './postgres.ts'

/** Only a test run has one to give; benchmarks bring their own. */
async function testDatabase(): Promise<TestDatabase> {
  const { createTestDatabase } = await import('./postgres.ts')
  return createTestDatabase()
}

/** A coordinator with a database and a chain of its own, all real. */
export type Stack = {
  url: string
  chain: LocalChain
  database: TestDatabase
  coordinator: Coordinator
  dataDir: string
  /** Ends this coordinator and starts another on the same database, chain and port. */
  restart: () => Promise<void>
  stop: () => Promise<void>
}

/** As much of a stack as agents and nodes see of it, whoever runs it. */
export type StackPlace = Pick<Stack, 'url' | 'chain'>

/** What stands between the coordinator and the rest of the stack, where a test wants to look or to interfere. */
type Between = {
  log?: Logger
  /** The address that the coordinator is given for its chain. */
  rpcUrl?: (chainUrl: string) => Promise<string>
  profile?: Partial<ChainProfile>
  clock?: NonNullable<CoordinatorOptions['clock']>
}

/** @param database of the caller's own; by default one of the test run's */
export async function startStack(
  overrides: Partial<Config> = {},
  database?: TestDatabase,
  between: Between = {},
): Promise<Stack> {
  const dataDir = mkdtempSync(join(tmpdir(), 'orien-stack-'))
  const [chain, used] = await Promise.all([startLocalChain(), database ?? testDatabase()])
  const rpcUrl = (await between.rpcUrl?.(chain.rpcUrl)) ?? chain.rpcUrl
  const start = (port: number) =>
    startCoordinator({
      config: {
        host: '127.0.0.1',
        port,
        baseUrl: `http://127.0.0.1:${port}`,
        dataDir,
        isProduction: false,
        requestsPerMinute: 1_000_000,
        leaseMs: 900_000,
        sweepEveryMs: 1_000,
        logLevel: 'silent',
        version: 'test',
        ...overrides,
      },
      databaseUrl: used.url,
      chain: {
        profile: { ...chains.local, ...between.profile },
        rpcUrl,
        escrow: chain.escrow,
        token: chain.usdc,
        signer: signerFromPrivateKey(chain.relayerPrivateKey),
      },
      faucet: async (wallet, amountMicros) => void (await chain.mint(wallet, amountMicros)),
      ...(between.clock && { clock: between.clock }),
      log: between.log ?? pino({ level: process.env.ORIEN_TEST_LOG ?? 'silent' }),
    })
  // The system gives the port: one that was looked for beforehand may be somebody else's by then.
  const coordinator = await start(0)
  const { url } = coordinator
  const stack: Stack = {
    url,
    chain,
    database: used,
    dataDir,
    coordinator,
    restart: async () => {
      await stack.coordinator.stop()
      stack.coordinator = await start(Number(new URL(url).port))
    },
    stop: async () => {
      await stack.coordinator.stop()
      await used.drop()
      await chain.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
  return stack
}

/** An agent with a fresh wallet and some local USDC. */
export type TestAgent = { orien: Orien; account: PrivateKeyAccount; privateKey: Hex }

export async function createAgent(stack: StackPlace, usdcMicros: bigint): Promise<TestAgent> {
  const privateKey = generatePrivateKey()
  const account = privateKeyToAccount(privateKey)
  if (usdcMicros > 0n) await stack.chain.mint(account.address, usdcMicros)
  return {
    orien: new Orien({ baseUrl: stack.url, account, rpcUrl: stack.chain.rpcUrl }),
    account,
    privateKey,
  }
}
