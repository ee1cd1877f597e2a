import { orienEscrowAbi } from '@orien/contracts'
import { type BatchKind, type Hex, micros, toHex } from '@orien/protocol'
import fc from 'fast-check'
import { encodeFunctionData, keccak256 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { expect, test } from 'vitest'
import { encodeBatch } from '../channel/batch.ts'
import { signDigest } from './secp256k1.ts'
import { signTransaction } from './signTransaction.ts'

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((value): Hex => toHex(value))
const key: Hex = `0x${'0b'.repeat(32)}`
const wei = fc.bigInt({ min: 0n, max: 2n ** 96n })

test('a transaction has the very bytes that viem makes of it', async () => {
  // Where the length of a length changes, on both sides.
  const length = fc.constantFrom(0, 1, 2, 31, 54, 55, 56, 57, 254, 255, 256, 257, 700)
  const data = fc.oneof(
    length.chain(bytes),
    fc.constantFrom<Hex>('0x00', '0x7f', '0x80', `0x${'ab'.repeat(65_600)}`),
  )
  const transaction = fc.record({
    chainId: fc.integer({ min: 1, max: 2 ** 40 }),
    nonce: fc.nat(),
    to: bytes(20),
    data,
    gas: wei,
    maxFeePerGas: wei,
  })
  const property = fc.asyncProperty(transaction, async (drawn) => {
    const given = { ...drawn, maxPriorityFeePerGas: drawn.maxFeePerGas / 3n }
    const account = privateKeyToAccount(key)
    const theirs = await account.signTransaction({ type: 'eip1559', value: 0n, ...given })
    expect(signTransaction(key, given)).toBe(theirs)
  })
  await fc.assert(property, { numRuns: 100 })
})

test('the call of a batch of claims or closes has the very bytes that viem makes of the contract’s ABI', () => {
  const amount = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(micros)
  const entry = fc.record({ channelId: bytes(32), claimMicros: amount, voucherMicros: fc.option(amount) })
  const terms = fc.record({
    payee: bytes(20),
    deadline: fc.nat(),
    entries: fc.array(entry, { maxLength: 100 }),
  })
  const signed = (text: string) => signDigest(key, keccak256(`0x${Buffer.from(text).toString('hex')}`))
  const folded = (signature: Hex) => {
    const parity = signature.endsWith('1c') ? 1n << 255n : 0n
    const vs = (BigInt(`0x${signature.slice(66, 130)}`) | parity).toString(16).padStart(64, '0')
    return { r: signature.slice(0, 66) as Hex, vs: `0x${vs}` as Hex }
  }
  const none = { r: `0x${'00'.repeat(32)}`, vs: `0x${'00'.repeat(32)}` } as const
  const property = fc.property(terms, ({ payee, deadline, entries }) => {
    const vouchers = entries.map(({ channelId, voucherMicros }) =>
      voucherMicros === null ? null : { cumulativeMicros: voucherMicros, signature: signed(channelId) },
    )
    const claims = entries.map(({ channelId, claimMicros }, index) => {
      const voucher = vouchers[index]
      const amounts = { claimAmount: claimMicros, voucherAmount: voucher?.cumulativeMicros ?? 0n }
      return { channelId, ...amounts, ...(voucher ? folded(voucher.signature) : none) }
    })
    const batch = { payee, deadline: BigInt(deadline), ...folded(signed('batch')), claims }
    const close = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'closeBatch', args: [[batch]] })
    const claim = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'claimBatch', args: [[batch]] })
    const ours = (kind: BatchKind) =>
      encodeBatch(kind, { payee, claims: entries, deadline }, signed('batch'), vouchers)
    expect([ours('CloseBatch'), ours('ClaimBatch')]).toEqual([close, claim])
  })
  fc.assert(property, { numRuns: 100 })
})
