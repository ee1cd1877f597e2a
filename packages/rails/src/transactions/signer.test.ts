import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keccak256, parseTransaction, recoverTransactionAddress, serializeTransaction } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSigner, signerFromPrivateKey, type TransactionPlan } from './signer.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orien-signer-'))
})
afterAll(() => rm(folder, { recursive: true }))

const plan: TransactionPlan = {
  chainId: 31337,
  to: '0x00000000000000000000000000000000000000aa',
  data: '0x1234',
  nonce: 7,
  gas: 21_000n,
  maxFeePerGas: 100n,
  maxPriorityFeePerGas: 3n,
}

describe('a key file', () => {
  test('is made once, for its owner’s eyes only, and gives the same account afterwards', async () => {
    const path = join(folder, 'relayer.key')
    const [first, second] = [await openSigner(path), await openSigner(path)]
    expect(second.address).toBe(first.address)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('made by many at once is one key, and no draft stays behind', async () => {
    const path = join(folder, 'contested.key')
    const signers = await Promise.all(Array.from({ length: 8 }, () => openSigner(path)))
    expect(new Set(signers.map(({ address }) => address)).size).toBe(1)
    expect((await readdir(folder)).filter((name) => name.startsWith('contested'))).toEqual(['contested.key'])
  })

  test('that others can read is refused', async () => {
    const path = join(folder, 'open.key')
    await openSigner(path)
    await chmod(path, 0o640)
    await expect(openSigner(path)).rejects.toMatchObject({ code: 'setup_failed' })
  })

  test('that holds no key is refused without showing what it holds', async () => {
    const path = join(folder, 'broken.key')
    await writeFile(path, 'hunter2', { mode: 0o600 })
    const refusal = await openSigner(path).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'unreadable' })
    expect(String(refusal)).not.toContain('hunter2')
    expect(await readFile(path, 'utf8')).toBe('hunter2')
  })
})

describe('a signature', () => {
  const signer = signerFromPrivateKey(`0x${'42'.repeat(32)}`)

  test('covers exactly the plan, from the signer’s account', async () => {
    const { raw } = await signer.sign({ ...plan, valueWei: 9n })
    const { type, r, s, v, yParity, ...fields } = parseTransaction(raw)
    const { valueWei, ...expected } = { ...plan, valueWei: 9n }
    expect(fields).toEqual({ ...expected, value: valueWei })
    expect(type).toBe('eip1559')
    const sender = await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` })
    expect(sender).toBe(signer.address)
  })

  test('is the same every time, so bytes that were lost are made again, not replaced', async () => {
    expect(await signer.sign(plan)).toEqual(await signer.sign(plan))
  })

  test('comes with the hash by which the chain will know it', async () => {
    const { raw, hash } = await signer.sign(plan)
    expect(hash).toBe(keccak256(raw))
    expect(raw).not.toBe(serializeTransaction({ ...plan, type: 'eip1559' }))
  })

  test('does not show the key', () => {
    expect(JSON.stringify(signer)).not.toContain('4242')
    expect(Object.keys(signer).sort()).toEqual(['address', 'sign'])
  })
})
