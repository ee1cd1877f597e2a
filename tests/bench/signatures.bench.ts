import { randomBytes } from 'node:crypto'
import {
  type ChannelTerms,
  channelId,
  type Hex,
  type Id,
  micros,
  type Receipt,
  readReceipt,
  receiptFault,
  sha256Hex,
  signReceipt,
  voucherDigest,
  ZERO,
} from '@orien/protocol'
import {
  addressOfKey,
  publicKeyOfSeed,
  recoverSigner,
  signDigest,
  signWithSeed,
  verifyEd25519,
} from '@orien/sdk'
import { recoverTypedDataAddress } from 'viem'
import type { BenchResult, BenchRow } from './row.ts'

const key: Hex = `0x${'11'.repeat(32)}`
const terms: ChannelTerms = {
  chainId: 31_337,
  escrow: `0x${'22'.repeat(20)}`,
  token: `0x${'33'.repeat(20)}`,
  payer: `0x${'44'.repeat(20)}`,
  payee: `0x${'55'.repeat(20)}`,
  salt: `0x${'66'.repeat(32)}`,
  authorizedSigner: addressOfKey(key),
}

/** Calls a second, over a fixed number of calls after some to warm up. */
async function perSecond(count: number, call: (index: number) => unknown): Promise<number> {
  for (let index = 0; index < Math.min(count, 50); index += 1) await call(index)
  const startedMs = performance.now()
  for (let index = 0; index < count; index += 1) await call(index)
  return (count / (performance.now() - startedMs)) * 1_000
}

async function vouchers(): Promise<BenchResult> {
  const id = channelId(terms)
  const cumulative = micros(123_456n)
  const signature = signDigest(key, voucherDigest(terms, id, cumulative))
  const value = await perSecond(500, () => recoverSigner(voucherDigest(terms, id, cumulative), signature))
  const referenceValue = await perSecond(200, () =>
    recoverTypedDataAddress({
      domain: {
        name: 'EVM Payment Channel',
        version: '1',
        chainId: terms.chainId,
        verifyingContract: terms.escrow,
      },
      types: {
        Voucher: [
          { name: 'channelId', type: 'bytes32' },
          { name: 'cumulativeAmount', type: 'uint128' },
        ],
      },
      primaryType: 'Voucher',
      message: { channelId: id, cumulativeAmount: cumulative },
      signature,
    }),
  )
  return { value, referenceValue, unit: 'vouchers/s' }
}

const seed = new Uint8Array(32).fill(7)
const publicKey = publicKeyOfSeed(seed)
const sign = signWithSeed(seed)

function chain(count: number): string[] {
  const receipts: string[] = []
  let previous = sha256Hex('offer')
  for (let sequence = 1; sequence <= count; sequence += 1) {
    const jws = signReceipt(receipt(sequence, previous), publicKey, sign)
    previous = sha256Hex(jws)
    receipts.push(jws)
  }
  return receipts
}

function receipt(sequence: number, previous: string): Receipt {
  const suffix = sequence.toString().padStart(26, '0')
  return {
    v: 1,
    executionId: `exe_${suffix}` as Id<'execution'>,
    sessionId: `ses_${'0'.repeat(26)}` as Id<'session'>,
    providerId: `prv_${'0'.repeat(26)}` as Id<'provider'>,
    channelId: `0x${'77'.repeat(32)}`,
    sequence,
    previous,
    grant: sequence,
    tool: 'execute_script',
    manifestHash: sha256Hex('manifest'),
    argumentsHash: sha256Hex('arguments'),
    inputs: [],
    outputs: [{ name: 'out.png', sha256: sha256Hex('out'), bytes: 12_345 }],
    logHash: sha256Hex(''),
    logBytes: 0,
    isolation: 'namespaces+cgroups',
    startedAt: '2026-01-01T00:00:00.000Z',
    endedAt: '2026-01-01T00:00:01.000Z',
    effectiveMs: 1_000,
    cpuMs: 990,
    maxRssBytes: 1_000_000,
    sources: { wall: 'helper', cpu: 'cgroup', memory: 'cgroup' },
    exitCode: 0,
    status: 'completed',
    rateMicrosPerMinute: micros(600_000n),
    holdMicros: micros(600_000n),
    deadlineMs: 60_000,
    costMicros: micros(10_000n),
    cumulativeMicros: micros(BigInt(sequence) * 10_000n),
  }
}

async function receiptChain(): Promise<BenchResult> {
  const receipts = chain(5_000)
  const startedMs = performance.now()
  let head = { sequence: 0, hash: sha256Hex('offer'), cumulativeMicros: ZERO }
  for (const [index, jws] of receipts.entries()) {
    const read = readReceipt(jws)
    const isLast = index === receipts.length - 1
    if (!read || receiptFault(read.receipt, head) || (isLast && !read.verify(publicKey, verifyEd25519))) {
      throw new TypeError('the chain holds')
    }
    head = {
      sequence: read.receipt.sequence,
      hash: read.hash,
      cumulativeMicros: read.receipt.cumulativeMicros,
    }
  }
  const value = (receipts.length / (performance.now() - startedMs)) * 1_000
  const data = new Uint8Array(randomBytes(1_200))
  const signature = sign(data)
  const referenceValue = await perSecond(3_000, () => verifyEd25519(publicKey, data, signature))
  return { value, referenceValue, unit: 'receipts/s', note: 'one signature covers a chain' }
}

async function signing(): Promise<BenchResult> {
  const value = await perSecond(3_000, (index) =>
    signReceipt(receipt(index + 1, sha256Hex('x')), publicKey, sign),
  )
  const data = new Uint8Array(randomBytes(1_200))
  return { value, referenceValue: await perSecond(3_000, () => sign(data)), unit: 'receipts/s' }
}

export const rows: BenchRow[] = [
  { name: 'vouchers checked', reference: 'viem recoverTypedDataAddress', better: 'higher', run: vouchers },
  { name: 'receipts signed', reference: 'bare Ed25519 signatures (OpenSSL)', better: 'higher', run: signing },
  {
    name: 'receipts of a bill checked',
    reference: 'bare Ed25519 verifications (OpenSSL)',
    better: 'higher',
    run: receiptChain,
  },
]
