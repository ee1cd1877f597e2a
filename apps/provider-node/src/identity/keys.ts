import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { base64url, type Ed25519Sign, fromHex, type Hex, OrienError, toHex } from '@orien/protocol'
import { publicKeyOfSeed, signWithSeed } from '@orien/sdk'
import type { Random } from '../random.ts'
import { readSecretFile, writeSecretFile } from './secretFile.ts'

/** The node's own key: signs offers, receipts and its way into the coordinator. */
export type NodeKey = { publicKey: string; sign: Ed25519Sign }

/** What the node's process holds. The owner's key is not among it, and the operator key is the signer's alone. */
export type NodeKeys = { node: NodeKey; apiToken: string }

const FILES = { node: 'node.key', operator: 'operator.key', apiToken: 'api.token' } as const

async function readWord(dataDir: string, name: string): Promise<Hex> {
  const text = await readSecretFile(join(dataDir, name))
  if (!/^[0-9a-f]{64}$/.test(text)) throw new OrienError('setup_failed', `${name} does not hold a key`)
  return `0x${text}`
}

/** @throws OrienError `setup_failed` when a file is absent, malformed or readable by others */
export async function loadKeys(dataDir: string): Promise<NodeKeys> {
  const node = nodeKeyOf(fromHex(await readWord(dataDir, FILES.node)))
  return { node, apiToken: await readSecretFile(join(dataDir, FILES.apiToken)) }
}

/**
 * For the signer's process alone; `orien claim` reads the same file, when no node runs.
 *
 * @throws OrienError as {@link loadKeys} does
 */
export const readOperatorKey = (dataDir: string): Promise<Hex> => readWord(dataDir, FILES.operator)

/** Keys that are not stored yet. */
export type NodeSecrets = { nodeSeed: Uint8Array; operatorKey: Hex; apiToken: string }

/** Draws the keys of a new node. */
export function drawSecrets(random: Random): NodeSecrets {
  // 32 random bytes miss the group order of secp256k1 with a probability of 2^-128; the signer would refuse such a key.
  return {
    nodeSeed: random.bytes(32),
    operatorKey: toHex(random.bytes(32)),
    apiToken: base64url(random.bytes(32)),
  }
}

/** The key that belongs to a seed. */
const nodeKeyOf = (seed: Uint8Array): NodeKey => ({
  publicKey: publicKeyOfSeed(seed),
  sign: signWithSeed(seed),
})

/** The token of the loopback interface alone; made if there is none, for a node that has no owner yet. */
export async function loadOrMakeApiToken(dataDir: string, random: Random): Promise<string> {
  const path = join(dataDir, FILES.apiToken)
  if (!existsSync(path)) {
    await mkdir(dataDir, { recursive: true, mode: 0o711 })
    await writeSecretFile(path, `${base64url(random.bytes(32))}\n`)
  }
  return readSecretFile(path)
}

/** Stores the keys of a new node; those of an old one are never replaced. */
export async function storeSecrets(dataDir: string, secrets: NodeSecrets): Promise<void> {
  // Others may pass through to the workspaces, which belong to uids of their own; every file here is private by itself.
  await mkdir(dataDir, { recursive: true, mode: 0o711 })
  await writeSecretFile(join(dataDir, FILES.node), `${toHex(secrets.nodeSeed).slice(2)}\n`)
  await writeSecretFile(join(dataDir, FILES.operator), `${secrets.operatorKey.slice(2)}\n`)
  await writeSecretFile(join(dataDir, FILES.apiToken), `${secrets.apiToken}\n`)
}
