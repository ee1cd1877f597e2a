import fc from 'fast-check'
import { type Hex, size, toHex } from 'viem'
import { describe, expect, test } from 'vitest'
import { encodeBatch, encodeTryAll, type SignedBatch } from './encodeBatch.ts'
import {
  BATCH_COSTS,
  BATCH_LIMITS,
  type BatchCandidate,
  type BatchPlan,
  mostGasOf,
  planBatches,
} from './planBatches.ts'

const account = (index: number): Hex => toHex(index + 1, { size: 20 })
type Claim = BatchCandidate & { id: number }
const claimOf = (id: number, payee: number, payer = id + 1_000): Claim => {
  return { id, payee: account(payee), payer: account(payer) }
}

const claims = fc
  .array(fc.tuple(fc.nat(12), fc.nat(20)), { maxLength: 700 })
  .map((pairs) => pairs.map(([payee, payer], id) => claimOf(id, payee, 100 + payer)))
const limits = fc.record({
  gas: fc.bigInt(700_000n, BATCH_LIMITS.gas),
  calldataBytes: fc.integer({ min: 1_000, max: BATCH_LIMITS.calldataBytes }),
})

const all = (plans: BatchPlan<Claim>[]) =>
  plans.flatMap(({ groups }) => groups.flatMap((group) => group.claims))

/** Call data of a plan with signatures of the right size. */
function calldataOf({ groups }: BatchPlan<Claim>): Hex {
  const signature: Hex = `0x${'11'.repeat(64)}1b`
  const batches = groups.map(({ payee, claims: of }) => ({
    terms: {
      payee,
      deadline: 1,
      claims: of.map(({ id }) => ({ channelId: toHex(id, { size: 32 }), claimMicros: 1n })),
    },
    signature,
    vouchers: of.map(() => ({ cumulativeMicros: 2n, signature })),
  }))
  return encodeBatch(account(1), 'CloseBatch', batches as unknown as SignedBatch[]).data
}

test('the most that an encoded batch can take is what its plan says', () => {
  const property = fc.property(claims, (given) => {
    for (const plan of planBatches(given)) expect(mostGasOf(calldataOf(plan))).toBe(plan.gas)
  })
  fc.assert(property, { numRuns: 20 })
})

test('of another call, or a batch above the cap of a transaction, nothing is said', () => {
  const call = encodeTryAll(account(1), [{ to: account(1), data: '0x' }], 1n)
  expect(mostGasOf(call.data)).toBeUndefined()
  const [plan] = planBatches(
    Array.from({ length: 300 }, (_, id) => claimOf(id, 1)),
    { ...BATCH_LIMITS, gas: 2n * BATCH_LIMITS.gas },
  )
  expect(plan && mostGasOf(calldataOf(plan))).toBeUndefined()
})

describe('plans', () => {
  test('hold every claim once, in transactions below both limits', () => {
    const property = fc.property(claims, limits, (given, within) => {
      const plans = planBatches(given, within)
      expect(
        all(plans)
          .map(({ id }) => id)
          .sort((a, b) => a - b),
      ).toEqual(given.map(({ id }) => id))
      for (const plan of plans) {
        expect(plan.gas <= within.gas && plan.calldataBytes <= within.calldataBytes).toBe(true)
        expect(plan.groups.every((group) => group.claims.length > 0)).toBe(true)
      }
    })
    fc.assert(property)
  })

  test('name one provider once in a transaction, with its own claims only', () => {
    const property = fc.property(claims, limits, (given, within) => {
      for (const { groups } of planBatches(given, within)) {
        expect(new Set(groups.map(({ payee }) => payee)).size).toBe(groups.length)
        for (const group of groups)
          expect(group.claims.every(({ payee }) => payee === group.payee)).toBe(true)
      }
    })
    fc.assert(property)
  })

  test('cut a provider’s claims only when they alone are too many for one transaction', () => {
    const property = fc.property(claims, limits, (given, within) => {
      const plans = planBatches(given, within)
      const room = (within.gas - BATCH_COSTS.transactionGas - BATCH_COSTS.providerGas) / BATCH_COSTS.claimGas
      const byBytes = Math.floor((within.calldataBytes - 68 - 224) / 160)
      for (const payee of new Set(given.map((claim) => claim.payee))) {
        const holding = plans.filter(({ groups }) => groups.some((group) => group.payee === payee))
        const count = given.filter((claim) => claim.payee === payee).length
        if (count <= Math.min(Number(room), byBytes)) expect(holding).toHaveLength(1)
      }
    })
    fc.assert(property)
  })

  test('put channels of one payer side by side', () => {
    const [plan] = planBatches([claimOf(0, 1, 7), claimOf(1, 1, 8), claimOf(2, 1, 7), claimOf(3, 1, 8)])
    expect(plan?.groups[0]?.claims.map(({ id }) => id)).toEqual([0, 2, 1, 3])
  })

  test('are the same for the same claims, whatever case their addresses have', () => {
    const given = Array.from({ length: 300 }, (_, id) => claimOf(id, 10 + (id % 5)))
    const upper = given.map((claim) => ({
      ...claim,
      payee: `0x${claim.payee.slice(2).toUpperCase()}` as Hex,
    }))
    expect(all(planBatches(upper)).map(({ id }) => id)).toEqual(all(planBatches(given)).map(({ id }) => id))
  })

  test('of nothing are none', () => {
    expect(planBatches([])).toEqual([])
  })

  test('know the call’s length to the byte', () => {
    const property = fc.property(claims, (given) => {
      for (const plan of planBatches(given)) expect(size(calldataOf(plan))).toBe(plan.calldataBytes)
    })
    fc.assert(property, { numRuns: 20 })
  })
})

test.each([
  { claims: 1, providers: 1, transactions: 1, gas: 530_000n, calldataBytes: 452 },
  { claims: 10, providers: 10, transactions: 1, gas: 1_700_000n, calldataBytes: 3_908 },
  { claims: 100, providers: 10, transactions: 1, gas: 7_280_000n, calldataBytes: 18_308 },
  { claims: 253, providers: 10, transactions: 1, gas: 16_766_000n, calldataBytes: 42_788 },
  { claims: 254, providers: 10, transactions: 2, gas: 15_210_000n, calldataBytes: 38_724 },
  { claims: 263, providers: 1, transactions: 1, gas: 16_774_000n, calldataBytes: 42_372 },
  { claims: 1_000, providers: 10, transactions: 5, gas: 12_936_000n, calldataBytes: 32_516 },
])('$claims claims of $providers providers take $transactions transactions', (sample) => {
  const given = Array.from({ length: sample.claims }, (_, id) => claimOf(id, id % sample.providers))
  const plans = planBatches(given)
  const [first] = plans
  expect({ transactions: plans.length, gas: first?.gas, calldataBytes: first?.calldataBytes }).toEqual({
    ...{ transactions: sample.transactions, gas: sample.gas, calldataBytes: sample.calldataBytes },
  })
})
