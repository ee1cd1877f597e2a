import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Hex, micros } from '@orien/protocol'
import { escrowAddress } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'
import { initNode } from '../identity/initNode.ts'
import { walletOwner } from '../identity/owner.ts'
import type { Timing } from '../limits.ts'
import type { NodeOptions } from '../node/startNode.ts'
import { lendPrograms } from '../sandbox/testing/programs.ts'
import { clearWorkspaces } from '../workspace/workspaces.ts'

export const RATE = micros(600_000n)
export const OWNER = privateKeyToAccount(`0x${'11'.repeat(32)}`)
const token: Hex = `0x${'70'.repeat(20)}`
/** What the escrow of the tests was made with; its address follows from them. */
export const ESCROW_TERMS = {
  token,
  platform: `0x${'71'.repeat(20)}` as Hex,
  reserve: `0x${'72'.repeat(20)}` as Hex,
  closeGraceSeconds: 3_600n,
}
export const CHAIN = { chainId: 31_337, escrow: escrowAddress(ESCROW_TERMS), token }
export const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url))

/** Pauses short enough for a test, otherwise as in production. */
const QUICK: Partial<Timing> = {
  reconnectMs: 10,
  reconnectMaxMs: 50,
  channelWaitMs: 200,
  channelRetryMs: 20,
}

/** A data directory with a node in it, initialised as an owner would. */
export async function makeDataDir(coordinatorUrl: string): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'orien-node-'))
  await lendPrograms(join(dataDir, 'sandbox', 'native'))
  await initNode({
    dataDir,
    owner: walletOwner(OWNER),
    name: 'A node',
    rateMicrosPerMinute: RATE,
    chain: CHAIN,
    coordinatorUrl,
  })
  return dataDir
}

/** What a test node is started with, unless the test says otherwise. */
export function nodeOptions(dataDir: string): NodeOptions {
  return {
    dataDir,
    manifestFile: join(FIXTURES, 'orien.tools.yaml'),
    timing: QUICK,
    concurrency: 2,
    readChannel: async () => null,
  }
}

/** Removes a data directory, with the workspaces that a node left mounted in it. */
export async function removeDir(dir: string): Promise<void> {
  await clearWorkspaces(join(dir, 'workspaces'))
  await rm(dir, { recursive: true, force: true })
}
