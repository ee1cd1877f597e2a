import { randomBytes } from 'node:crypto'
import { type Id, micros, type Receipt, sha256Hex, signReceipt } from '@orien/protocol'
import { publicKeyOfSeed, signWithSeed } from '@orien/sdk'
import type { BenchResult, BenchRow } from './row.ts'

/** Calls a second, over a fixed number of calls after some to warm up. */
async function perSecond(count: number, call: (index: number) => unknown): Promise<number> {
  for (let index = 0; index < Math.min(count, 50); index += 1) await call(index)
  const startedMs = performance.now()
  for (let index = 0; index < count; index += 1) await call(index)
  return (count / (performance.now() - startedMs)) * 1_000
}

const seed = new Uint8Array(32).fill(7)
const publicKey = publicKeyOfSeed(seed)
const sign = signWithSeed(seed)

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

async function signing(): Promise<BenchResult> {
  const value = await perSecond(3_000, (index) =>
    signReceipt(receipt(index + 1, sha256Hex('x')), publicKey, sign),
  )
  const data = new Uint8Array(randomBytes(1_200))
  return { value, referenceValue: await perSecond(3_000, () => sign(data)), unit: 'receipts/s' }
}

export const rows: BenchRow[] = [
  { name: 'receipts signed', reference: 'bare Ed25519 signatures (OpenSSL)', better: 'higher', run: signing },
]
