import type { Id } from '@orien/protocol'
import type { JournalState } from '../journal/state.ts'
import { type Cursor, type Spool, START } from '../output/spool.ts'
import type { Connection } from './connection.ts'

/** A run that the coordinator has not heard the last of. */
type Entry = {
  executionId: Id<'execution'>
  sessionId: Id<'session'>
  spool: Spool
  startedAt?: string
  /** Output up to here reached the coordinator; after a new connection it goes on from here. */
  confirmed: Cursor
  sent: Cursor
  /** The receipt is in the journal. */
  isSigned: boolean
  /** On the present connection. */
  isLogSent: boolean
  isReceiptSent: boolean
}

/** Tells the coordinator of runs: that they started, their output, their receipts. Over any number of connections. */
export type Delivery = {
  begin(run: { executionId: Id<'execution'>; sessionId: Id<'session'>; spool: Spool }): void
  started(executionId: string, at: string): void
  meter(executionId: Id<'execution'>, effectiveMs: number): void
  /** The receipt is on the disk; it goes out after the output. */
  signed(executionId: string): void
  /** Says the receipt once more. */
  repeat(executionId: string): void
  /** Nothing more is to be told of the run. */
  done(executionId: string): void
  inHand(): Id<'execution'>[]
  attach(connection: Connection): void
  /** What was sent until now; call the result once the other side is known to have it. */
  mark(): () => void
}

/** @param state where the receipts' bytes are */
export function createDelivery(state: Pick<JournalState, 'pendingReceipts'>): Delivery {
  const entries = new Map<string, Entry>()
  /** Signed receipts of each session, in their order: none is sent before the one that it is chained to. */
  const chains = new Map<string, Entry[]>()
  let connection: Connection | undefined

  async function pump(entry: Entry, to: Connection): Promise<void> {
    sendStarted(entry, to)
    entry.sent = entry.confirmed
    while (await entry.spool.hasMore(entry.sent, to.signal)) {
      const before = entry.sent
      await to.inTurn(() => sendBlock(entry, to))
      // What a crash cut off, or a removed file, ends the output that can be told.
      if (entry.sent === before) break
    }
    await to.inTurn(async () => {
      if (to !== connection) return
      entry.isLogSent = true
      flush(entry.sessionId, to)
    })
  }

  async function sendBlock(entry: Entry, to: Connection): Promise<void> {
    const { executionId, spool } = entry
    const block = await spool.readBlock(entry.sent).catch(() => undefined)
    // A new connection has begun again from what was confirmed.
    if (to !== connection) return
    for (const { stream, offset, bytes } of block?.pieces ?? []) {
      const data = Buffer.from(bytes).toString('base64')
      to.send({ type: 'log', executionId, stream, offset, data })
    }
    if (block && block.pieces.length > 0) entry.sent = block.next
  }

  function sendStarted({ executionId, startedAt }: Entry, to: Connection): void {
    if (startedAt !== undefined) to.send({ type: 'started', executionId, at: startedAt })
  }

  function flush(sessionId: string, to: Connection): void {
    for (const entry of chains.get(sessionId) ?? []) {
      if (!entry.isLogSent) return
      if (!entry.isReceiptSent) sendReceipt(entry, to)
    }
  }

  function sendReceipt(entry: Entry, to: Connection): void {
    const receipt = state.pendingReceipts.get(entry.executionId)
    // Gone with its session: nobody waits for it any more.
    if (!receipt) return
    entry.isReceiptSent = to.send({ type: 'receipt', executionId: entry.executionId, jws: receipt.jws })
  }

  function startPump(entry: Entry): void {
    if (connection) void pump(entry, connection)
  }

  async function pumpInOrder(finished: readonly Entry[], to: Connection): Promise<void> {
    for (const entry of finished) {
      if (to !== connection) return
      if (entries.has(entry.executionId)) await pump(entry, to)
    }
  }

  return {
    begin: (run) => {
      const flags = { isSigned: false, isLogSent: false, isReceiptSent: false }
      const entry: Entry = { ...run, confirmed: START, sent: START, ...flags }
      entries.set(run.executionId, entry)
      startPump(entry)
    },
    started: (executionId, at) => {
      const entry = entries.get(executionId)
      if (!entry) return
      entry.startedAt = at
      if (connection) sendStarted(entry, connection)
    },
    meter: (executionId, effectiveMs) => {
      if (connection?.hasRoom()) connection.send({ type: 'meter', executionId, effectiveMs })
    },
    signed: (executionId) => {
      const entry = entries.get(executionId)
      if (!entry || entry.isSigned) return
      entry.isSigned = true
      const chain = chains.get(entry.sessionId) ?? []
      chains.set(entry.sessionId, [...chain, entry])
      if (connection) flush(entry.sessionId, connection)
    },
    repeat: (executionId) => {
      const entry = entries.get(executionId)
      if (!entry?.isReceiptSent || !connection) return
      sendReceipt(entry, connection)
    },
    done: (executionId) => {
      const entry = entries.get(executionId)
      if (!entry) return
      entries.delete(executionId)
      const chain = (chains.get(entry.sessionId) ?? []).filter((other) => other !== entry)
      if (chain.length > 0) chains.set(entry.sessionId, chain)
      else chains.delete(entry.sessionId)
    },
    inHand: () => [...entries.values()].map(({ executionId }) => executionId),
    attach: (next) => {
      connection = next
      next.signal.addEventListener('abort', () => {
        if (connection === next) connection = undefined
      })
      for (const entry of entries.values()) {
        entry.isLogSent = false
        entry.isReceiptSent = false
      }
      // Finished runs one after the other, in their order; those under way, each as its output comes.
      void pumpInOrder(
        [...entries.values()].filter((entry) => entry.isSigned),
        next,
      )
      for (const entry of entries.values()) if (!entry.isSigned) startPump(entry)
    },
    mark: () => {
      const marks = [...entries.values()].map((entry) => [entry, entry.sent] as const)
      return () => {
        for (const [entry, sent] of marks) if (sent.offset > entry.confirmed.offset) entry.confirmed = sent
      }
    },
  }
}
