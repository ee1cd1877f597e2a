import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createScheduler } from './scheduler.ts'

/** Tasks that the test ends one by one, in the order they began. */
function harness(slots: number) {
  const scheduler = createScheduler(slots)
  const began: string[] = []
  const ends = new Map<string, () => void>()
  const add = (sessionId: string, id: string) =>
    scheduler.enqueue(sessionId, id, () => {
      began.push(id)
      const ended = Promise.withResolvers<void>()
      ends.set(id, ended.resolve)
      return ended.promise
    })
  const end = async (id: string) => {
    ends.get(id)?.()
    ends.delete(id)
    await new Promise(setImmediate)
  }
  return { scheduler, began, ends, add, end }
}

describe('the scheduler', () => {
  test('a session that queues a thousand runs delays the next run of another by one', async () => {
    const { began, add, end } = harness(1)
    for (let run = 0; run < 1_000; run += 1) add('greedy', `greedy${run}`)
    add('modest', 'modest')
    await end('greedy0')
    await end('greedy1')
    expect(began).toEqual(['greedy0', 'greedy1', 'modest'])
  })

  test('runs of one session begin in their order', async () => {
    const { began, add, end } = harness(1)
    for (const id of ['a', 'b', 'c']) add('one', id)
    for (const id of ['a', 'b']) await end(id)
    expect(began).toEqual(['a', 'b', 'c'])
  })

  test('a task that fails gives its slot back', async () => {
    const scheduler = createScheduler(1)
    const failed = Promise.withResolvers<void>()
    scheduler.enqueue('one', 'fails', async () => failed.resolve())
    await failed.promise
    const second = Promise.withResolvers<void>()
    scheduler.enqueue('one', 'second', async () => second.resolve())
    await second.promise
    expect(scheduler.counts()).toMatchObject({ queued: 0 })
  })

  test('what is removed never begins, and a run under way cannot be removed', async () => {
    const { scheduler, began, add, end } = harness(1)
    for (const id of ['a', 'b', 'c']) add('one', id)
    expect([
      scheduler.remove('one', 'a'),
      scheduler.remove('one', 'b'),
      scheduler.remove('two', 'c'),
    ]).toEqual([false, true, false])
    await end('a')
    expect(began).toEqual(['a', 'c'])
  })

  test('never more at once than there are slots, never fewer while something waits, and each begins once', async () => {
    const step = fc.oneof(
      fc.record({ add: fc.constantFrom('a', 'b', 'c') }),
      fc.record({ endFirst: fc.constant(true) }),
      fc.record({ removeLast: fc.constant(true) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 40 }),
        async (slots, steps) => {
          const { scheduler, began, ends, add, end } = harness(slots)
          let added: { sessionId: string; id: string }[] = []
          for (const [index, what] of steps.entries()) {
            if ('add' in what) {
              added.push({ sessionId: what.add, id: `${what.add}${index}` })
              add(what.add, `${what.add}${index}`)
            } else if ('endFirst' in what) {
              const [first] = ends.keys()
              if (first !== undefined) await end(first)
            } else {
              const last = added.at(-1)
              if (last && scheduler.remove(last.sessionId, last.id)) added = added.slice(0, -1)
            }
            const { running, queued } = scheduler.counts()
            expect(running).toBeLessThanOrEqual(slots)
            expect(running).toBe(ends.size)
            if (queued > 0) expect(running).toBe(slots)
          }
          expect(new Set(began).size).toBe(began.length)
        },
      ),
      { numRuns: 200 },
    )
  })
})
