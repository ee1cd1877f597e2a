import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { base64url, type Ed25519Sign, fromHex, type Hex, OrienError, toHex } from '@orien/protocol'
import { addressOfKey, publicKeyOfSeed, signDigest, signWithSeed } from '@orien/sdk'
import type { Random } from '../random.ts'
import { readSecretFile, writeSecretFile } from './secretFile.ts'

/** The node's own key: signs offers, receipts and its way into the coordinator. */
export type NodeKey = { publicKey: string; sign: Ed25519Sign }

/** Claims and closes in the owner's name, and can do nothing else. */
export type OperatorKey = { address: Hex; signDigest(digest: Hex): Hex }

/** What a node holds. The owner's key is not among it. */
export type NodeKeys = { node: NodeKey; operator: OperatorKey; apiToken: string }

const FILES = { node: 'node.key', operator: 'operator.key', apiToken: 'api.token' } as const

function operatorOf(privateKey: Hex): OperatorKey {
  return {
    address: addressOfKey(privateKey),
    signDigest: (digest) => signDigest(privateKey, digest),
  }
}

async function readWord(dataDir: string, name: string): Promise<Hex> {
  const text = await readSecretFile(join(dataDir, name))
  if (!/^[0-9a-f]{64}$/.test(text)) throw new OrienError('setup_failed', `${name} does not hold a key`)
  return `0x${text}`
}

/** @throws OrienError `setup_failed` when a file is absent, malformed or readable by others */
export async function loadKeys(dataDir: string): Promise<NodeKeys> {
  return keysOf({
    nodeSeed: fromHex(await readWord(dataDir, FILES.node)),
    operatorKey: await readWord(dataDir, FILES.operator),
    apiToken: await readSecretFile(join(dataDir, FILES.apiToken)),
  })
}

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

/** The keys that belong to secrets. */
export function keysOf(secrets: NodeSecrets): NodeKeys {
  const { nodeSeed, operatorKey, apiToken } = secrets
  const node = { publicKey: publicKeyOfSeed(nodeSeed), sign: signWithSeed(nodeSeed) }
  return { node, operator: operatorOf(operatorKey), apiToken }
}

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
