import type { Id, RunReport } from '@orien/protocol'
import type { JournalState } from '../journal/state.ts'
import { type Cursor, type Spool, START } from '../output/spool.ts'
import type { Connection } from './connection.ts'

/** A run that the coordinator has not heard the last of. */
type Entry = {
  executionId: Id<'execution'>
  sessionId: Id<'session'>
  spool: Spool
  startedAt?: string
  /** On the present connection; a new one begins again, since nobody tells what the coordinator has kept. */
  sent: Cursor
  /** The receipt is in the journal. */
  isSigned: boolean
  /** Told beside the receipt; not kept over a restart. */
  report?: RunReport | undefined
  /** On the present connection. */
  isLogSent: boolean
  isReceiptSent: boolean
  /** It was sent before the last look for unanswered ones. */
  isOverdue: boolean
}

/** Tells the coordinator of runs: that they started, their output, their receipts. Over any number of connections. */
export class Delivery {
  readonly #state: Pick<JournalState, 'pendingReceipts'>
  readonly #entries = new Map<string, Entry>()
  /** Signed receipts of each session, in their order: none is sent before the one that it is chained to. */
  readonly #chains = new Map<string, Entry[]>()
  #connection: Connection | undefined

  /** @param state where the receipts' bytes are */
  constructor(state: Pick<JournalState, 'pendingReceipts'>) {
    this.#state = state
  }

  begin(run: Pick<Entry, 'executionId' | 'sessionId' | 'spool'>): void {
    const flags = { isSigned: false, isLogSent: false, isReceiptSent: false, isOverdue: false }
    const entry: Entry = { ...run, sent: START, ...flags }
    this.#entries.set(run.executionId, entry)
    if (this.#connection) void this.#pump(entry, this.#connection)
  }

  started(executionId: string, at: string): void {
    const entry = this.#entries.get(executionId)
    if (!entry) return
    entry.startedAt = at
    if (this.#connection) sendStarted(entry, this.#connection)
  }

  meter(executionId: Id<'execution'>, effectiveMs: number, deadlineMs: number): void {
    if (!this.#connection?.hasRoom()) return
    this.#connection.send({ type: 'meter', executionId, effectiveMs, deadlineMs })
  }

  /** The receipt is on the disk; it goes out after the output. */
  signed(executionId: string, report?: RunReport): void {
    const entry = this.#entries.get(executionId)
    if (!entry || entry.isSigned) return
    entry.isSigned = true
    entry.report = report
    const chain = this.#chains.get(entry.sessionId)
    if (chain) chain.push(entry)
    else this.#chains.set(entry.sessionId, [entry])
    if (this.#connection) this.#flush(entry.sessionId, this.#connection)
  }

  /** Says the receipt once more. */
  repeat(executionId: string): void {
    const entry = this.#entries.get(executionId)
    if (entry?.isReceiptSent && this.#connection) this.#sendReceipt(entry, this.#connection)
  }

  /**
   * Says receipts again that had no final answer since the last call, each session's in their order: a coordinator
   * whose database was away took them and forgot them, and those chained to them were refused.
   */
  repeatUnanswered(): void {
    const to = this.#connection
    if (!to) return
    for (const entry of [...this.#chains.values()].flat()) {
      if (!entry.isReceiptSent) continue
      if (entry.isOverdue) this.#sendReceipt(entry, to)
      else entry.isOverdue = true
    }
  }

  /** Nothing more is to be told of the run. */
  done(executionId: string): void {
    const entry = this.#entries.get(executionId)
    if (!entry) return
    this.#entries.delete(executionId)
    const chain = (this.#chains.get(entry.sessionId) ?? []).filter((other) => other !== entry)
    if (chain.length > 0) this.#chains.set(entry.sessionId, chain)
    else this.#chains.delete(entry.sessionId)
  }

  inHand(): Id<'execution'>[] {
    return Array.from(this.#entries.values(), ({ executionId }) => executionId)
  }

  attach(connection: Connection): void {
    this.#connection = connection
    connection.signal.addEventListener('abort', () => {
      if (this.#connection === connection) this.#connection = undefined
    })
    const entries = [...this.#entries.values()]
    for (const entry of entries) {
      entry.isLogSent = false
      entry.isReceiptSent = false
      entry.isOverdue = false
    }
    // Finished runs one after the other, in their order; those under way, each as its output comes.
    const finished = entries.filter(({ isSigned }) => isSigned)
    void this.#pumpInOrder(finished, connection)
    for (const entry of entries) if (!entry.isSigned) void this.#pump(entry, connection)
  }

  async #pumpInOrder(finished: readonly Entry[], to: Connection): Promise<void> {
    for (const entry of finished) {
      if (to !== this.#connection) return
      if (this.#entries.has(entry.executionId)) await this.#pump(entry, to)
    }
  }

  async #pump(entry: Entry, to: Connection): Promise<void> {
    sendStarted(entry, to)
    entry.sent = START
    while (await entry.spool.hasMore(entry.sent, to.signal)) {
      const before = entry.sent
      await to.inTurn(() => this.#sendBlock(entry, to))
      // What a crash cut off, or a removed file, ends the output that can be told.
      if (entry.sent === before) break
    }
    await to.inTurn(async () => {
      if (to !== this.#connection) return
      entry.isLogSent = true
      this.#flush(entry.sessionId, to)
    })
  }

  async #sendBlock(entry: Entry, to: Connection): Promise<void> {
    const { executionId, spool } = entry
    const block = await spool.readBlock(entry.sent).catch(() => undefined)
    // A new connection has begun again.
    if (to !== this.#connection) return
    for (const { stream, offset, bytes } of block?.pieces ?? []) {
      const data = Buffer.from(bytes).toString('base64')
      to.send({ type: 'log', executionId, stream, offset, data })
    }
    if (block && block.pieces.length > 0) entry.sent = block.next
  }

  #flush(sessionId: string, to: Connection): void {
    for (const entry of this.#chains.get(sessionId) ?? []) {
      if (!entry.isLogSent) return
      if (!entry.isReceiptSent) this.#sendReceipt(entry, to)
    }
  }

  #sendReceipt(entry: Entry, to: Connection): void {
    const receipt = this.#state.pendingReceipts.get(entry.executionId)
    // Gone with its session: nobody waits for it any more.
    if (!receipt) return
    const { executionId, report } = entry
    const told = report ? { report } : {}
    entry.isReceiptSent = to.send({ type: 'receipt', executionId, jws: receipt.jws, ...told })
  }
}

function sendStarted({ executionId, startedAt }: Entry, to: Connection): void {
  if (startedAt !== undefined) to.send({ type: 'started', executionId, at: startedAt })
}
