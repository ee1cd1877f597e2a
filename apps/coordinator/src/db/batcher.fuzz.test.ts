import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBatcher } from './batcher.ts'

type Item = { id: number; key: string; isPoisonous: boolean }

const shape = fc.record({
  items: fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), isPoisonous: fc.boolean() }),
    {
      minLength: 1,
      maxLength: 60,
    },
  ),
  maxItems: fc.integer({ min: 1, max: 16 }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  isGrouped: fc.boolean(),
})

/** Keys by themselves, or three of them a group. */
const keysOf = (isGrouped: boolean) => ({
  keyOf: (item: Item) => item.key,
  ...(isGrouped && { groupOf: groupOf(true) }),
})
const groupOf = (isGrouped: boolean) => (item: Item) =>
  isGrouped ? String('abc'.includes(item.key)) : item.key

const numbered = (items: { key: string; isPoisonous: boolean }[]): Item[] =>
  items.map((item, id) => ({ id, ...item }))

/** A store as a database would be: all of a batch or nothing, slow in an order that the scheduler picks. */
function storeOf(scheduler: fc.Scheduler, groupOf = (item: Item) => item.key) {
  const done: Item[] = []
  const batches: Item[][] = []
  const open = new Map<Item[], Set<string>>()
  let mostAtOnce = 0
  const flush = async (items: Item[]): Promise<number[]> => {
    const groups = items.map(groupOf)
    for (const other of open.values()) expect(groups.filter((group) => other.has(group))).toEqual([])
    open.set(items, new Set(groups))
    mostAtOnce = Math.max(mostAtOnce, open.size)
    batches.push(items)
    await scheduler.schedule(Promise.resolve(), `flush of ${items.length}`)
    open.delete(items)
    if (items.some((item) => item.isPoisonous)) throw new RangeError('poison')
    done.push(...items)
    return items.map((item) => item.id * 10)
  }
  return { flush, done, batches, mostAtOnce: () => mostAtOnce }
}

const runs = { numRuns: 200 }

test('every item gets its own answer once, and poison fails nobody but itself', async () => {
  await fc.assert(
    fc.asyncProperty(
      shape,
      fc.scheduler(),
      async ({ items, maxItems, concurrency, isGrouped }, scheduler) => {
        const store = storeOf(scheduler, groupOf(isGrouped))
        const batcher = createBatcher({ flush: store.flush, maxItems, concurrency, ...keysOf(isGrouped) })
        const all = numbered(items)
        const results = await scheduler.waitFor(Promise.allSettled(all.map(batcher.submit)))
        expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'poison'))).toEqual(
          all.map((item) => (item.isPoisonous ? 'poison' : item.id * 10)),
        )
        expect(store.done.map((item) => item.id).sort((a, b) => a - b)).toEqual(
          all.filter((item) => !item.isPoisonous).map((item) => item.id),
        )
      },
    ),
    runs,
  )
})

test('no batch is too large or holds a key twice, no group is in two flushes, and items of a key keep their order', async () => {
  await fc.assert(
    fc.asyncProperty(
      shape,
      fc.scheduler(),
      async ({ items, maxItems, concurrency, isGrouped }, scheduler) => {
        const store = storeOf(scheduler, groupOf(isGrouped))
        const batcher = createBatcher({ flush: store.flush, maxItems, concurrency, ...keysOf(isGrouped) })
        await scheduler.waitFor(Promise.allSettled(numbered(items).map(batcher.submit)))
        for (const batch of store.batches) {
          expect(batch.length).toBeLessThanOrEqual(maxItems)
          expect(new Set(batch.map((item) => item.key)).size).toBe(batch.length)
        }
        expect(store.mostAtOnce()).toBeLessThanOrEqual(concurrency)
        for (const ofKey of Object.values(Object.groupBy(store.done, (item) => item.key))) {
          const ids = (ofKey ?? []).map((item) => item.id)
          expect(ids).toEqual([...ids].sort((a, b) => a - b))
        }
      },
    ),
    runs,
  )
})

test('one poisonous item among n costs at most 2·log2(n) + 1 further flushes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 128 }),
      fc.nat(),
      fc.scheduler(),
      async (size, at, scheduler) => {
        const store = storeOf(scheduler)
        const batcher = createBatcher({ flush: store.flush, maxItems: 128 })
        const items = Array.from({ length: size }, (_, id) => ({
          id,
          key: `${id}`,
          isPoisonous: id === at % size,
        }))
        await scheduler.waitFor(Promise.allSettled(items.map(batcher.submit)))
        expect(store.batches.length - 1).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(size)) + 1)
      },
    ),
    runs,
  )
})
