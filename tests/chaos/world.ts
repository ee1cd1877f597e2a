import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hex, type Id, micros } from '@orien/protocol'
import { initNode, removeKeptWorkspaces, walletOwner } from '@orien/provider-node'
import { attachLocalChain, type LocalChain, startLocalChain } from '@orien/rails'
import { createTestClient, http, parseGwei } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { defaultCloseGraceSeconds } from '../../packages/contracts/src/index.ts'
import { keepUp, killPostmaster } from './keepUp.ts'
import { type Links, openLinks } from './links/links.ts'
import { freePort } from './ports.ts'
import { planCoordinator, planNode, planSupervisor } from './processes.ts'
import { mountSmallDisk } from './smallDisk.ts'
import { createTap, type Tap } from './tap.ts'
import { makeUnsteady, type UnsteadyChain } from './unsteadyChain.ts'

/** What can be killed. The supervisor is the parent of PostgreSQL, and does not die with it. */
export type Victim = 'coordinator' | 'node' | 'postgres' | 'supervisor' | 'chain'

/**
 * `unsteady chain`: blocks come by the clock, are final when they are eight deep, and may be replaced before that.
 * `impatient`: a provider is gone after two seconds of silence, and the grace period is three.
 * `small disks`: PostgreSQL and the node have file systems of their own, which can be filled.
 */
export type Setting = 'plain' | 'unsteady chain' | 'small disks' | 'impatient' | 'impatient, unsteady chain'

/** The whole system as separate processes, with a link that can be struck between any two that talk. */
export type World = {
  dir: string
  tap: Tap
  /** For the agent. */
  url: string
  chain: LocalChain
  /** Past all links, for checks. */
  databaseUrl: string
  providerId: Id<'provider'>
  nodeDir: string
  /** `kill -9`; resolves when they are gone. They are brought back at once, as a supervisor would. */
  kill: (...victims: Victim[]) => Promise<void>
  /** Resolves when everything that should run runs. */
  whole: () => Promise<void>
  unsteady: UnsteadyChain | null
  /** Ends the node for good, until the answer is called. */
  leaveNode: () => Promise<() => void>
  /** Nobody reaches the chain's node, for a while. */
  silenceRpc: () => void
  /** Of the next block. */
  setBaseFee: (gwei: string) => Promise<void>
  /** Freed again after a while. */
  fillDisk: (of: 'postgres' | 'node') => void
  stop: () => Promise<void>
}

const FULL_FOR_MS = 2_500
const SILENT_FOR_MS = 2_500
const GONE_MS = 2_000
const SHORT_GRACE_SECONDS = 3

/** 60 USDC a minute, so that a millisecond costs a round 1,000 micro-USDC. */
const RATE_MICROS = 60_000_000n

const TOOLS = `
tools:
  - id: say
    description: Prints a line after a moment
    arguments:
      properties:
        text: { type: string, description: The line, maxLength: 100 }
      required: [text]
    executable: /usr/bin/perl
    argv:
      - { kind: literal, value: "-e" }
      - { kind: literal, value: "$|=1; print qq($ARGV[0]); select(undef,undef,undef,0.15); print qq( done)" }
      - { kind: literal, value: "--" }
      - { kind: argument, name: text }
    readOnlyPaths: [/usr/bin, /usr/share/perl, /usr/lib]
    limits: { timeMs: 2000, memoryBytes: 134217728, processes: 4, diskBytes: 1048576, outputBytes: 4096 }
`

export async function startWorld(setting: Setting = 'plain'): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'orien-chaos-'))
  for (const name of ['coordinator', 'node', 'postgres']) mkdirSync(join(dir, name), { mode: 0o755 })
  writeFileSync(join(dir, 'tools.yaml'), TOOLS)
  const disks = setting === 'small disks' ? mountDisks(dir) : null
  const tap = createTap()
  const ports = { postgres: await freePort(), chain: await freePort(), coordinator: await freePort() }
  const isImpatient = setting.startsWith('impatient')
  const closeGraceSeconds = isImpatient ? SHORT_GRACE_SECONDS : Number(defaultCloseGraceSeconds)
  const chain = await keepChain(ports.chain, join(dir, 'chain.json'), BigInt(closeGraceSeconds))
  const links = await openLinks(tap, ports)
  const supervisor = planSupervisor(dir, ports.postgres)
  const ready = JSON.parse((await supervisor.start()).slice('ready '.length)) as { url: string }
  const isUnsteady = setting.endsWith('unsteady chain')
  const place = {
    ...{ dir, ports, links, databaseUrl: ready.url, chainUrl: chain.present.rpcUrl, closeGraceSeconds },
    profile: isUnsteady ? ('local-reorg' as const) : ('local' as const),
    ...(isImpatient && { providerGoneMs: GONE_MS }),
  }
  const coordinator = planCoordinator(place)
  const providerId = await makeNode(join(dir, 'node'), chain.present, links)
  const node = planNode(place)
  await coordinator.start()
  await node.start()
  const unsteady = isUnsteady ? await makeUnsteady(chain.present.rpcUrl) : null
  const keeper = keepUp({ coordinator, node, supervisor })
  const killOne = async (victim: Victim): Promise<void> => {
    if (victim === 'postgres') return killPostmaster(join(dir, 'postgres'))
    if (victim !== 'chain') return { coordinator, node, supervisor }[victim].end('SIGKILL')
    await chain.end()
    keeper.restore(chain.begin)
  }
  return {
    ...{ dir, tap, providerId, chain: chain.present, databaseUrl: ready.url, whole: keeper.whole },
    url: `http://127.0.0.1:${links.agent.port}`,
    nodeDir: join(dir, 'node'),
    kill: async (...victims) => void (await Promise.all(victims.map(killOne))),
    unsteady,
    ...mishaps({ links, disks, rpcUrl: chain.present.rpcUrl }),
    leaveNode: async () => {
      const letGo = keeper.hold(node)
      await node.end('SIGKILL')
      return letGo
    },
    stop: async () => {
      keeper.stop()
      await unsteady?.stop()
      for (const part of [node, coordinator, supervisor]) await part.end('SIGTERM')
      // What the node keeps for its next start would keep a small disk busy.
      await removeKeptWorkspaces(join(dir, 'node'))
      await chain.end()
      for (const link of Object.values(links)) await link.close()
      for (const disk of Object.values(disks ?? {})) disk.unmount()
    },
  }
}

type Disks = ReturnType<typeof mountDisks> | null

/** What goes wrong for a while without anybody being killed. */
function mishaps({ links, disks, rpcUrl }: { links: Links; disks: Disks; rpcUrl: string }) {
  return {
    silenceRpc: () => {
      links.rpc.setDown(true)
      setTimeout(() => links.rpc.setDown(false), SILENT_FOR_MS)
    },
    setBaseFee: (gwei: string) => setBaseFee(rpcUrl, gwei),
    fillDisk: (of: 'postgres' | 'node') => {
      disks?.[of].fill()
      setTimeout(() => disks?.[of].free(), FULL_FOR_MS)
    },
  }
}

const mountDisks = (dir: string) => ({
  postgres: mountSmallDisk(join(dir, 'postgres'), 128),
  node: mountSmallDisk(join(dir, 'node'), 48),
})

/** What a chain has told anybody it keeps: anvil writes its state only when it is asked to end. */
async function keepChain(port: number, statePath: string, closeGraceSeconds: bigint) {
  const start = () => startLocalChain({ port, statePath, closeGraceSeconds })
  let anvil = await start()
  return {
    present: await attachLocalChain(anvil.rpcUrl, closeGraceSeconds),
    end: () => anvil.stop(),
    begin: async () => {
      anvil = await start()
    },
  }
}

async function setBaseFee(rpcUrl: string, gwei: string): Promise<void> {
  const node = createTestClient({ mode: 'anvil', chain: foundry, transport: http(rpcUrl) })
  await node.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei(gwei) })
  await node.mine({ blocks: 1 })
}

async function makeNode(dataDir: string, chain: LocalChain, links: Links): Promise<Id<'provider'>> {
  const { providerId } = await initNode({
    dataDir,
    owner: walletOwner(privateKeyToAccount(generatePrivateKey())),
    name: 'chaos',
    rateMicrosPerMinute: micros(RATE_MICROS),
    chain: {
      chainId: chain.chainId,
      escrow: chain.escrow.toLowerCase() as Hex,
      token: chain.usdc.toLowerCase() as Hex,
    },
    rpcUrl: `http://127.0.0.1:${links.nodeRpc.port}`,
    coordinatorUrl: `http://127.0.0.1:${links.node.port}`,
  })
  return providerId
}
