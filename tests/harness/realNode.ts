import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setInterval } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Hex, type Id, micros, openSession } from '@orien/protocol'
import { initNode, removeKeptWorkspaces, type Timing, walletOwner } from '@orien/provider-node'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { NODE_FLAGS } from '../../apps/orien/src/provider/nodeFlags.ts'
import { createAgent, type StackPlace } from './stack.ts'

const LOOK_EVERY_MS = 50

const hastyFile = fileURLToPath(new URL('./hastyNode.ts', import.meta.url))
const mainFile = fileURLToPath(new URL('../../apps/provider-node/src/main.ts', import.meta.url))

/** A provider node as its owner runs it: a process of its own with the real sandbox and the tools that come with it. */
export type RealNode = {
  providerId: Id<'provider'>
  dataDir: string
  pid: () => number
  /** Ends the process as a power cut would. */
  kill: () => Promise<void>
  /** Starts it on what is left on disk, whether there is a coordinator or not. */
  launch: (timing?: Partial<Timing>) => void
  /** The same; resolves when it is online. */
  start: () => Promise<void>
  stop: () => Promise<void>
}

type Options = {
  /** 60 USDC a minute by default, so that a millisecond costs a round 1,000 micro-USDC. */
  rateMicrosPerMinute?: bigint
  /** A tools file of the test's own instead of the one that comes with the node. */
  toolsFile?: string
  /** Pauses of the node that a test cannot wait for. */
  timing?: Partial<Timing>
  /** Beside what every node is given. */
  environment?: Readonly<Record<string, string>>
}

export async function startRealNode(stack: StackPlace, options: Options = {}): Promise<RealNode> {
  const { rateMicrosPerMinute = 60_000_000n, toolsFile, environment } = options
  const dataDir = mkdtempSync(join(tmpdir(), 'orien-node-'))
  const { providerId } = await initNode({
    dataDir,
    owner: walletOwner(privateKeyToAccount(generatePrivateKey())),
    name: 'real',
    rateMicrosPerMinute: micros(rateMicrosPerMinute),
    chain: {
      chainId: stack.chain.chainId,
      escrow: stack.chain.escrow.toLowerCase() as Hex,
      token: stack.chain.usdc.toLowerCase() as Hex,
    },
    rpcUrl: stack.chain.rpcUrl,
    coordinatorUrl: stack.url,
  })
  let child: ChildProcess | null = null
  let lastWords = ''
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  const node: RealNode = {
    providerId,
    dataDir,
    pid: () => child?.pid ?? 0,
    kill: () => end('SIGKILL'),
    launch: (timing = options.timing) => {
      const plain = [mainFile, '--data-dir', dataDir, ...(toolsFile ? ['--tools', toolsFile] : [])]
      const program = timing ? [hastyFile, JSON.stringify(timing), dataDir] : plain
      child = spawn(process.execPath, [...NODE_FLAGS, ...program], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: {
          PATH: process.env.PATH ?? '',
          ORIEN_LOG_LEVEL: process.env.ORIEN_TEST_LOG ?? 'fatal',
          ...environment,
        },
      })
      lastWords = ''
      child.stdout?.on('data', (text: Buffer) => {
        if (process.env.ORIEN_TEST_LOG) process.stderr.write(text)
        lastWords = text.toString('utf8')
      })
    },
    start: async () => {
      node.launch()
      if (child) await untilReady(stack, providerId, child, () => lastWords)
    },
    stop: async () => {
      await end('SIGTERM')
      await removeKeptWorkspaces(dataDir)
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
  await node.start()
  return node
}

/** A node is ready when a session can be opened on it; asking is what an agent would do. */
async function untilReady(
  stack: StackPlace,
  id: Id<'provider'>,
  child: ChildProcess,
  lastWords: () => string,
): Promise<void> {
  const { orien } = await createAgent(stack, 0n)
  const body = { providerId: id, budgetMicros: micros(10_000n), rail: 'escrow' as const }
  for await (const _tick of setInterval(LOOK_EVERY_MS)) {
    if (child.exitCode !== null) throw new TypeError(`the node ended with ${child.exitCode}: ${lastWords()}`)
    if (await orien.call(openSession, { body }).catch(() => null)) return
  }
}
