import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hex, micros, registrationDigest, setOperatorDigest } from '@orien/protocol'
import { addressOfKey, recoverSigner } from '@orien/sdk'
import { afterEach, describe, expect, test } from 'vitest'
import { CHAIN, OWNER, RATE, removeDir } from '../testing/node.ts'
import { initNode } from './initNode.ts'
import { loadKeys, readOperatorKey } from './keys.ts'
import { lockDataDir } from './lockDataDir.ts'
import { walletOwner } from './owner.ts'
import { loadProvider } from './providerFile.ts'

const dirs: string[] = []
afterEach(async () => {
  for (const dir of dirs.splice(0)) await removeDir(dir)
})

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'orien-init-'))
  dirs.push(dir)
  return dir
}

const options = (dataDir: string) => ({
  dataDir,
  owner: walletOwner(OWNER),
  name: 'A node',
  rateMicrosPerMinute: RATE,
  chain: CHAIN,
})
const payout = OWNER.address.toLowerCase() as Hex

describe('initialising a node', () => {
  test('the owner has signed the registration and the operator key, in the form that contract and coordinator take', async () => {
    const dataDir = await newDir()
    const { providerId, operator } = await initNode(options(dataDir))
    const { registration, signature, operatorAuthorization } = await loadProvider(dataDir)
    expect(registration).toMatchObject({ providerId, payout, operator })
    expect(recoverSigner(registrationDigest(registration), signature)).toBe(payout)
    const { nonce, deadline } = operatorAuthorization
    const terms = { owner: payout, operator, allowed: true, nonce: BigInt(nonce), deadline }
    expect(recoverSigner(setOperatorDigest(CHAIN, terms), operatorAuthorization.signature)).toBe(payout)
  })

  test('keys are readable by their owner alone, and the wallet that signed is nowhere among them', async () => {
    const dataDir = await newDir()
    await initNode(options(dataDir))
    const names = await readdir(dataDir)
    expect(names.sort()).toEqual(['api.token', 'node.key', 'operator.key', 'provider.json'])
    for (const name of names) {
      expect((await stat(join(dataDir, name))).mode & 0o777).toBe(0o600)
      expect(await readFile(join(dataDir, name), 'utf8')).not.toContain('11'.repeat(32))
    }
  })

  test('the stored keys are the registered ones', async () => {
    const dataDir = await newDir()
    const { nodeKey, operator } = await initNode(options(dataDir))
    const keys = await loadKeys(dataDir)
    expect(keys.node.publicKey).toBe(nodeKey)
    expect(addressOfKey(await readOperatorKey(dataDir))).toBe(operator)
  })

  test('a directory that holds a node is refused, and its keys stay', async () => {
    const dataDir = await newDir()
    const { nodeKey } = await initNode(options(dataDir))
    await expect(initNode(options(dataDir))).rejects.toMatchObject({ code: 'setup_failed' })
    expect((await loadKeys(dataDir)).node.publicKey).toBe(nodeKey)
  })

  test('an owner who declines to sign leaves nothing behind', async () => {
    const dataDir = await newDir()
    const declines = { ...OWNER, signTypedData: () => Promise.reject(new TypeError('declined')) }
    await expect(initNode({ ...options(dataDir), owner: walletOwner(declines) })).rejects.toThrow('declined')
    expect(await readdir(dataDir)).toEqual([])
  })

  test('a wallet whose signature recovers to another address is refused while the owner still sits there', async () => {
    const dataDir = await newDir()
    const stranger = { ...OWNER, address: `0x${'ab'.repeat(20)}` as Hex }
    await expect(initNode({ ...options(dataDir), owner: walletOwner(stranger) })).rejects.toMatchObject({
      code: 'signature_invalid',
    })
  })

  test('a rate of zero and a name with a space around it are refused', async () => {
    const dataDir = await newDir()
    await expect(initNode({ ...options(dataDir), rateMicrosPerMinute: micros(0n) })).rejects.toMatchObject({
      code: 'validation_failed',
    })
    await expect(initNode({ ...options(dataDir), name: ' x' })).rejects.toMatchObject({
      code: 'validation_failed',
    })
  })

  test('a key that others can read is not used', async () => {
    const dataDir = await newDir()
    await initNode(options(dataDir))
    await chmod(join(dataDir, 'node.key'), 0o644)
    await expect(loadKeys(dataDir)).rejects.toMatchObject({ code: 'setup_failed' })
  })
})

describe('the lock of a data directory', () => {
  test('keeps a second node out until the first lets go', async () => {
    const dataDir = await newDir()
    const release = await lockDataDir(dataDir)
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ code: 'database_in_use' })
    await release()
    await (await lockDataDir(dataDir))()
  })

  test('one that a killed process left is taken over, also when its pid lives on in another process', async () => {
    const dataDir = await newDir()
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    for (const stale of [`${child.pid} 1`, `${process.pid} 1`, '', 'nonsense']) {
      await writeFile(join(dataDir, 'node.lock'), stale, { mode: 0o600 })
      await (await lockDataDir(dataDir))()
    }
  })
})
