import type { Hex } from '@orien/protocol'
import fc from 'fast-check'
import { recoverAddress } from 'viem'
import { generatePrivateKey, privateKeyToAccount, sign } from 'viem/accounts'
import { expect, test } from 'vitest'
import { recoverSigner, recoverSignerPortable, signatureEngine } from './signatures.ts'

const hex = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}` as Hex)
const key = generatePrivateKey()
const address = privateKeyToAccount(key).address.toLowerCase()
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

async function byViem(hash: Hex, signature: Hex): Promise<string | null> {
  const isAccepted = /1[bc]$/.test(signature) && BigInt(`0x${signature.slice(66, 130)}`) <= HALF_ORDER
  if (!isAccepted) return null
  return recoverAddress({ hash, signature }).then(
    (signer) => signer.toLowerCase(),
    () => null,
  )
}

test('a signer is who viem says it is, and any one changed bit makes it somebody else or nobody', async () => {
  await fc.assert(
    fc.asyncProperty(hex(32), fc.nat(519), async (hash, bit) => {
      const signature = await sign({ privateKey: key, hash, to: 'hex' })
      expect(recoverSigner(hash, signature)).toBe(address)
      const bytes = Buffer.from(signature.slice(2), 'hex')
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const changed = `0x${bytes.toString('hex')}` as Hex
      expect(recoverSigner(hash, changed)).not.toBe(address)
      expect(recoverSigner(hash, changed)).toBe(await byViem(hash, changed))
    }),
    { numRuns: 60 },
  )
})

test('65 random bytes never throw and never differ from viem', async () => {
  const v = fc.constantFrom('1b', '1c', '1d', '00')
  const signature = fc.tuple(hex(64), v).map(([body, last]) => `${body}${last}` as Hex)
  await fc.assert(
    fc.asyncProperty(hex(32), signature, async (hash, given) => {
      expect(recoverSigner(hash, given)).toBe(await byViem(hash, given))
      expect(recoverSignerPortable(hash, given)).toBe(await byViem(hash, given))
    }),
    { numRuns: 100 },
  )
})

test('signers are recovered natively where a prebuilt library exists', () => {
  const isPrebuilt = ['linux-x64', 'darwin-arm64', 'win32-x64'].includes(
    `${process.platform}-${process.arch}`,
  )
  expect(signatureEngine).toBe(isPrebuilt ? 'native' : 'javascript')
})
