import { InvariantViolation, OrienError } from '@orien/protocol'
import { databaseFailure, isOutage } from './failure.ts'
import { DATABASE_LIMITS } from './limits.ts'

export type BatcherOptions<I, O> = {
  /**
   * Does a whole batch and answers in its order. All or nothing: when it rejects for any other reason than a
   * lost connection, nothing of the batch may have happened.
   */
  flush: (items: I[]) => Promise<O[]>
  /** Largest batch. */
  maxItems?: number
  /** Flushes under way at once. */
  concurrency?: number
  /** Items waiting for a flush; beyond it `submit` refuses. */
  maxQueued?: number
  /** Items with an equal key are flushed one after the other, in the order of submission. */
  keyOf?: (item: I) => string
  /** Items of one group, in which equal keys are, may share a flush, but are never in two at once. By default the key. */
  groupOf?: (item: I) => string
}

export type Batcher<I, O> = {
  /**
   * @throws OrienError `overloaded` when too many items wait; nothing was done
   * @throws OrienError the code of the failure when the database is away, full, read-only, damaged or too
   *   slow; `facts.outcome` is `unknown` unless the flush or the server knew better
   */
  submit: (item: I) => Promise<O>
  /** Resolves when everything submitted before the call has its answer. */
  drain: () => Promise<void>
  /** Items waiting and items being flushed. */
  load: () => { queued: number; inFlight: number }
}

type Entry<I, O> = {
  item: I
  key: string | null
  group: string | null
  resolve: (output: O) => void
  reject: (error: unknown) => void
}

/**
 * Group commit: while one batch is being committed, the next one collects. A busy database thereby gets
 * larger batches, and a lone item waits for nothing but the current turn of the event loop.
 *
 * @example
 * const reserve = createBatcher({ flush: (holds) => store.reserveAll(holds), keyOf: (hold) => hold.id })
 * const result = await reserve.submit(hold)
 */
export function createBatcher<I, O>(options: BatcherOptions<I, O>): Batcher<I, O> {
  const { flush, keyOf, maxItems = DATABASE_LIMITS.batchItems, concurrency = 1 } = options
  const groupOf = options.groupOf ?? keyOf
  const maxQueued = options.maxQueued ?? DATABASE_LIMITS.batchQueue
  const outstanding = new Set<Promise<unknown>>()
  const inFlight = countFlights()
  let queue: Entry<I, O>[] = []
  let isScheduled = false

  const submit = (item: I): Promise<O> => {
    if (queue.length >= maxQueued) return Promise.reject(new OrienError('overloaded'))
    const { promise, resolve, reject } = Promise.withResolvers<O>()
    queue.push({ item, key: keyOf?.(item) ?? null, group: groupOf?.(item) ?? null, resolve, reject })
    outstanding.add(promise)
    const settled = () => outstanding.delete(promise)
    promise.then(settled, settled)
    schedule()
    return promise
  }

  // At the end of the turn, not at once: requests that arrive in one read of the network share a batch.
  const schedule = (): void => {
    if (isScheduled) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      startFlushes()
    })
  }

  const startFlushes = (): void => {
    while (inFlight.flushes() < concurrency && startFlush()) {}
  }

  const startFlush = (): boolean => {
    const { batch, rest } = takeBatch(queue, maxItems, inFlight.groups)
    if (batch.length === 0) return false
    queue = rest
    const release = inFlight.begin(batch)
    // A fuller batch cannot be had by waiting, and whoever gets an answer now may compute for long.
    const goOn = () => {
      if (queue.length < maxItems) return undefined
      release()
      startFlushes()
      return nextTurn()
    }
    void settleBatch(batch, flush, goOn).finally(() => {
      release()
      schedule()
    })
    return true
  }

  return {
    submit,
    drain: async () => void (await Promise.allSettled(outstanding)),
    load: () => ({ queued: queue.length, inFlight: inFlight.items() }),
  }
}

/** What is being flushed. `begin` gives what ends it, once however often it is called. */
function countFlights() {
  const groups = new Set<string>()
  let flushes = 0
  let items = 0
  const begin = (batch: readonly { group: string | null }[]) => {
    flushes += 1
    items += batch.length
    for (const { group } of batch) if (group !== null) groups.add(group)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      flushes -= 1
      items -= batch.length
      for (const { group } of batch) if (group !== null) groups.delete(group)
    }
  }
  return { groups, flushes: () => flushes, items: () => items, begin }
}

/** Until what was just sent has left the process. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The next batch: first come, first served, but no key twice and no group that is being flushed. */
function takeBatch<I, O>(
  queue: readonly Entry<I, O>[],
  maxItems: number,
  groupsInFlight: ReadonlySet<string>,
): { batch: Entry<I, O>[]; rest: Entry<I, O>[] } {
  const batch: Entry<I, O>[] = []
  const rest: Entry<I, O>[] = []
  const taken = new Set<string>()
  for (const entry of queue) {
    const isTaken = entry.key !== null && taken.has(entry.key)
    const isInFlight = entry.group !== null && groupsInFlight.has(entry.group)
    if (isTaken || isInFlight || batch.length === maxItems) rest.push(entry)
    else {
      batch.push(entry)
      if (entry.key !== null) taken.add(entry.key)
    }
  }
  return { batch, rest }
}

/**
 * Gives every entry its own result. A batch that its data made fail is halved until the poisonous item is
 * alone: its neighbours cost 2·log2(n) further flushes, not n. After a lost connection nothing is tried again
 * here, since the batch may have been committed; nor on a full disk, where every half would fail as well.
 *
 * @param goOn called when the whole batch is done, before anybody is told
 * @returns the loss, so that a caller with more halves in hand stops as well
 */
async function settleBatch<I, O>(
  batch: readonly Entry<I, O>[],
  flush: (items: I[]) => Promise<O[]>,
  goOn?: () => Promise<void> | undefined,
): Promise<OrienError | null> {
  let outputs: O[]
  try {
    outputs = await flush(batch.map((entry) => entry.item))
  } catch (error) {
    return settleFailure(batch, flush, databaseFailure(error, 'unknown'))
  }
  // Not in the `try`: these items were done, so they must not be flushed once more.
  if (outputs.length !== batch.length) {
    const broken = new InvariantViolation('a flush answers every item of its batch')
    for (const entry of batch) entry.reject(broken)
    return null
  }
  const gone = goOn?.()
  if (gone) await gone
  for (const [index, output] of outputs.entries()) batch[index]?.resolve(output)
  return null
}

async function settleFailure<I, O>(
  batch: readonly Entry<I, O>[],
  flush: (items: I[]) => Promise<O[]>,
  failure: unknown,
): Promise<OrienError | null> {
  const loss = isOutage(failure) ? failure : null
  if (loss || batch.length === 1) {
    for (const entry of batch) entry.reject(failure)
    return loss
  }
  const middle = batch.length >> 1
  const lossInFirst = await settleBatch(batch.slice(0, middle), flush)
  const second = batch.slice(middle)
  return lossInFirst ? settleFailure(second, flush, lossInFirst) : settleBatch(second, flush)
}
