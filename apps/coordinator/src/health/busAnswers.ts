import type { Bus } from '../events/bus.ts'
import type { Random } from '../random.ts'

const PATIENCE_MS = 500

/** Whether what is published on the bus reaches a subscriber: asked by doing it, on a subject of its own. */
export async function busAnswers(bus: Pick<Bus, 'publish' | 'subscribe'>, random: Random): Promise<boolean> {
  const subject = random.id('request')
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), PATIENCE_MS)
  const unsubscribe = bus.subscribe(subject, () => resolve(true))
  bus.publish(subject, { kind: 'event', sequence: 0 })
  const hasArrived = await promise
  clearTimeout(timer)
  unsubscribe()
  return hasArrived
}
