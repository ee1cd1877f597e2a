import { InvariantViolation, OrienError } from '@orien/protocol'
import { expect, test } from 'vitest'
import { createBatcher } from './batcher.ts'

/** A flush that waits until the test lets it go, and remembers what it was given. */
function heldFlush() {
  const calls: { items: number[]; answer: (outputs?: number[]) => void; fail: (error: unknown) => void }[] =
    []
  const waiting: (() => void)[] = []
  const flush = (items: number[]): Promise<number[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>()
    calls.push({
      items,
      answer: (outputs = items.map((item) => item * 10)) => resolve(outputs),
      fail: reject,
    })
    for (const wake of waiting.splice(0)) wake()
    return promise
  }
  const call = async (index: number) => {
    while (!calls[index]) await new Promise<void>((resolve) => waiting.push(resolve))
    return calls[index]
  }
  return { flush, call, calls }
}

const lost = () => Object.assign(new Error('Connection terminated unexpectedly'))

test('items of one turn share a batch, and what comes during a flush shares the next', async () => {
  const { flush, call, calls } = heldFlush()
  const batcher = createBatcher({ flush })
  const first = [1, 2, 3].map(batcher.submit)
  const held = await call(0)
  const second = [4, 5].map(batcher.submit)
  expect(batcher.load()).toEqual({ queued: 2, inFlight: 3 })
  held.answer()
  expect(await Promise.all(first)).toEqual([10, 20, 30])
  ;(await call(1)).answer()
  expect(await Promise.all(second)).toEqual([40, 50])
  expect(calls.map((one) => one.items)).toEqual([
    [1, 2, 3],
    [4, 5],
  ])
  expect(batcher.load()).toEqual({ queued: 0, inFlight: 0 })
})

test('while a full batch waits, the database has it before anybody is told of the last one', async () => {
  const { flush, call, calls } = heldFlush()
  const batcher = createBatcher({ flush, maxItems: 2 })
  const begun: number[] = []
  const results = [1, 2, 3, 4, 5].map((item) => batcher.submit(item).then(() => begun.push(calls.length)))
  ;(await call(0)).answer()
  await Promise.all(results.slice(0, 2))
  // Of a batch that is not full, the answered may still become a part.
  ;(await call(1)).answer()
  await Promise.all(results.slice(2, 4))
  ;(await call(2)).answer()
  await Promise.all(results)
  expect(begun).toEqual([2, 2, 2, 2, 3])
})

test('a second flush starts beside the first when two may be under way', async () => {
  const { flush, call } = heldFlush()
  const batcher = createBatcher({ flush, concurrency: 2, maxItems: 1 })
  const results = [1, 2, 3].map(batcher.submit)
  const [one, two] = [await call(0), await call(1)]
  expect(batcher.load()).toEqual({ queued: 1, inFlight: 2 })
  two.answer()
  expect(await results[1]).toBe(20)
  one.answer()
  ;(await call(2)).answer()
  expect(await Promise.all(results)).toEqual([10, 20, 30])
})

test('items of one group share a flush, and none of them is in a second one beside it', async () => {
  const { flush, call, calls } = heldFlush()
  const keys = { keyOf: String, groupOf: (item: number) => (item < 10 ? 'low' : 'high') }
  const batcher = createBatcher({ flush, concurrency: 2, ...keys })
  const first = [1, 2].map(batcher.submit)
  const low = await call(0)
  const second = [3, 11, 4].map(batcher.submit)
  ;(await call(1)).answer()
  expect(await second[1]).toBe(110)
  low.answer()
  ;(await call(2)).answer()
  expect(await Promise.all([...first, ...second])).toEqual([10, 20, 30, 110, 40])
  expect(calls.map((one) => one.items)).toEqual([[1, 2], [11], [3, 4]])
})

test('a full queue refuses with overloaded and forgets nothing that it took', async () => {
  const { flush, call } = heldFlush()
  const batcher = createBatcher({ flush, maxItems: 1, maxQueued: 2 })
  const taken = [1, 2].map(batcher.submit)
  await expect(batcher.submit(3)).rejects.toMatchObject({ code: 'overloaded' })
  ;(await call(0)).answer()
  ;(await call(1)).answer()
  expect(await Promise.all(taken)).toEqual([10, 20])
})

test('a lost connection rejects the whole batch as retryable and flushes nothing a second time', async () => {
  const { flush, call, calls } = heldFlush()
  const batcher = createBatcher({ flush })
  const results = [1, 2, 3, 4].map(batcher.submit)
  ;(await call(0)).fail(lost())
  for (const result of results) {
    await expect(result).rejects.toMatchObject({
      code: 'database_unavailable',
      facts: { outcome: 'unknown' },
    })
  }
  expect(calls).toHaveLength(1)
})

test('a connection lost while a poisonous batch is halved rejects the rest without another flush', async () => {
  const { flush, call, calls } = heldFlush()
  const batcher = createBatcher({ flush })
  const results = [1, 2, 3, 4].map(batcher.submit)
  ;(await call(0)).fail(new Error('check constraint'))
  ;(await call(1)).answer()
  ;(await call(2)).fail(lost())
  expect(await Promise.all(results.slice(0, 2))).toEqual([10, 20])
  for (const result of results.slice(2))
    await expect(result).rejects.toMatchObject({ code: 'database_unavailable' })
  expect(calls.map((one) => one.items)).toEqual([
    [1, 2, 3, 4],
    [1, 2],
    [3, 4],
  ])
})

test('a full disk rejects the whole batch as retryable, and no half of it is tried', async () => {
  const { flush, call, calls } = heldFlush()
  const batcher = createBatcher({ flush })
  const results = [1, 2, 3, 4].map(batcher.submit)
  ;(await call(0)).fail(Object.assign(new Error('No space left'), { code: '53100', severity: 'ERROR' }))
  for (const result of results) {
    await expect(result).rejects.toMatchObject({
      code: 'database_full',
      facts: { outcome: 'not_committed' },
    })
  }
  expect(calls).toHaveLength(1)
})

test('a deadlock costs a batch nothing but two halves', async () => {
  const { flush, call, calls } = heldFlush()
  const batcher = createBatcher({ flush })
  const results = [1, 2].map(batcher.submit)
  ;(await call(0)).fail(Object.assign(new Error('deadlock detected'), { code: '40P01', severity: 'ERROR' }))
  ;(await call(1)).answer()
  ;(await call(2)).answer()
  expect(await Promise.all(results)).toEqual([10, 20])
  expect(calls.map((one) => one.items)).toEqual([[1, 2], [1], [2]])
})

test('a loss that knew better than "unknown" keeps its outcome', async () => {
  const known = new OrienError('database_unavailable', undefined, { outcome: 'not_committed' })
  const batcher = createBatcher({ flush: () => Promise.reject(known) })
  await expect(batcher.submit(1)).rejects.toBe(known)
})

test('a flush that answers too few items is an error of ours, and its items are not done twice', async () => {
  const { flush, call, calls } = heldFlush()
  const batcher = createBatcher({ flush })
  const results = [1, 2].map(batcher.submit)
  ;(await call(0)).answer([10])
  for (const result of results) await expect(result).rejects.toBeInstanceOf(InvariantViolation)
  expect(calls).toHaveLength(1)
})

test('a flush that throws at once fails its item and not the process', async () => {
  const batcher = createBatcher<number, number>({
    flush: () => {
      throw new OrienError('internal_error')
    },
  })
  await expect(batcher.submit(1)).rejects.toMatchObject({ code: 'internal_error' })
})

test('drain waits for what was submitted before it, refused or not, and for nothing after', async () => {
  const { flush, call } = heldFlush()
  const batcher = createBatcher({ flush, maxItems: 1 })
  const settled: string[] = []
  void batcher.submit(1).then(() => settled.push('first'))
  void batcher.submit(2).catch(() => settled.push('second'))
  const drained = batcher.drain().then(() => settled.push('drained'))
  const later = batcher.submit(3)
  ;(await call(0)).answer()
  ;(await call(1)).fail(new Error('poison'))
  const third = await call(2)
  await drained
  expect(settled.slice(0, 2).sort()).toEqual(['first', 'second'])
  expect(settled.slice(2)).toEqual(['drained'])
  third.answer()
  expect(await later).toBe(30)
})
