import { LIMITS } from '@orien/protocol'
import { describe, expect, test } from 'vitest'
import { createGate } from './gate.ts'

const visitor = (agentId: string, sessionId = `session of ${agentId}`) => ({ agentId, sessionId })
const never = new AbortController().signal

/** A gate with small bounds, and a clock whose waits end when the test says so. */
function makeGate(changes: Partial<Parameters<typeof createGate>[1]> = {}) {
  const waits = new Set<() => void>()
  const clock = {
    now: () => new Date(0),
    monotonicMs: () => 0,
    after: (_: number, callback: () => void) => {
      waits.add(callback)
      return () => void waits.delete(callback)
    },
  }
  const limits = { ...LIMITS, sessionTransfers: 2, agentTransfers: 3, agentWaitingTransfers: 2, ...changes }
  const elapse = () => {
    for (const callback of [...waits]) callback()
  }
  return { gate: createGate(clock, limits), elapse, waits }
}

describe('transfers at once', () => {
  test('of one session are bounded, and others wait for a place in their order', async () => {
    const { gate } = makeGate()
    const leaves = [await gate.enter(visitor('a'), never), await gate.enter(visitor('a'), never)]
    const order: string[] = []
    const third = gate.enter(visitor('a'), never).then((leave) => {
      order.push('third')
      return leave
    })
    const fourth = gate.enter(visitor('a'), never).then((leave) => {
      order.push('fourth')
      return leave
    })
    expect(gate.counts()).toEqual({ inside: 2, waiting: 2 })
    leaves[0]?.()
    ;(await third)()
    ;(await fourth)()
    leaves[1]?.()
    expect(order).toEqual(['third', 'fourth'])
    expect(gate.counts()).toEqual({ inside: 0, waiting: 0 })
  })

  test('of one agent are bounded over all its sessions, and do not hold up another agent', async () => {
    const { gate } = makeGate()
    for (const session of ['1', '2', '3']) await gate.enter(visitor('a', session), never)
    let isIn = false
    const waiting = gate.enter(visitor('a', '4'), never).then(() => {
      isIn = true
    })
    await gate.enter(visitor('b'), never)
    expect(isIn).toBe(false)
    expect(gate.counts()).toEqual({ inside: 4, waiting: 1 })
    void waiting
  })

  test('leaving twice makes one place, not two', async () => {
    const { gate } = makeGate({ transfers: 1 })
    const leave = await gate.enter(visitor('a'), never)
    await Promise.resolve()
    const second = gate.enter(visitor('b'), never)
    const third = gate.enter(visitor('c'), never)
    leave()
    leave()
    await second
    expect(gate.counts()).toEqual({ inside: 1, waiting: 1 })
    void third
  })
})

describe('who waits', () => {
  test('is refused by its code when too many of the same agent wait already', async () => {
    const { gate } = makeGate()
    for (let index = 0; index < 4; index += 1) void gate.enter(visitor('a'), never)
    await expect(gate.enter(visitor('a'), never)).rejects.toMatchObject({ code: 'too_many_transfers' })
    expect(gate.counts()).toEqual({ inside: 2, waiting: 2 })
  })

  test('is refused by its code when no place became free in time, and is gone from the queue', async () => {
    const { gate, elapse, waits } = makeGate({ transfers: 1 })
    const leave = await gate.enter(visitor('a'), never)
    const waiting = gate.enter(visitor('b'), never)
    elapse()
    await expect(waiting).rejects.toMatchObject({ code: 'too_many_transfers' })
    leave()
    expect(gate.counts()).toEqual({ inside: 0, waiting: 0 })
    expect(waits.size).toBe(0)
  })

  test('makes room in the queue when it hangs up', async () => {
    const { gate } = makeGate({ transfers: 1 })
    await gate.enter(visitor('a'), never)
    const caller = new AbortController()
    const waiting = gate.enter(visitor('b'), caller.signal)
    caller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'too_many_transfers' })
    expect(gate.counts()).toEqual({ inside: 1, waiting: 0 })
  })
})
