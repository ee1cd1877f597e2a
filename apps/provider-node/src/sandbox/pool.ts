import type { Clock } from '../clock.ts'
import type { SandboxShape } from './arguments.ts'
import type { SlotContext } from './context.ts'
import type { Discard, SandboxMode, SlotCounts } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { type Coming, emptyShelf, keyOf, oldestOf, type Shelf } from './shelf.ts'
import { closeSlot, emptySlot, openSlot, type Slot } from './slot.ts'

/** How a run leaves its sandbox: untouched, after a run that ended by itself, or never to be used again. */
export type SlotState = 'unused' | 'clean' | 'spent'

/** A sandbox that a run has to itself until it gives it back. */
export type Loan = { readonly slot: Slot; giveBack(state: SlotState): void }

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The sandboxes of a driver: made, lent, emptied, kept ready, and given up. */
export class Pool {
  readonly #context: SlotContext
  readonly #mode: SandboxMode
  readonly #clock: Clock
  readonly #shelves = new Map<string, Shelf>()
  /** What is being made, emptied or closed without a run that waits for it. */
  readonly #pending = new Map<Promise<unknown>, Shelf>()
  readonly #counts = { made: 0, reused: 0 }
  readonly #discards = new Map<Discard, number>()
  #isClosed = false
  #cancelAging = () => {}

  constructor(context: SlotContext, mode: SandboxMode, clock: Clock) {
    this.#context = context
    this.#mode = mode
    this.#clock = clock
  }

  /** @throws OrienError `sandbox_unavailable` */
  async take(shape: SandboxShape): Promise<Loan> {
    const shelf = this.#shelfFor(shape)
    shelf.used += 1
    shelf.mostUsed = Math.max(shelf.mostUsed, shelf.used)
    try {
      const slot = await this.#find(shelf)
      slot.sandbox.setAwake(true)
      if (slot.runs > 0) this.#counts.reused += 1
      return { slot, giveBack: (state) => this.#takeBack(shelf, slot, state) }
    } catch (error) {
      shelf.used -= 1
      this.#dropEmpty(shelf)
      throw error
    }
  }

  /** Ends every sandbox of a workspace; one with a run in it is ended when its run is over. */
  async release(workspaceDir: string): Promise<void> {
    const own = [...this.#shelves.values()].filter(({ shape }) => shape.workspaceDir === workspaceDir)
    await Promise.all(own.map((shelf) => this.#clear(shelf)))
    await this.#context.letGo(workspaceDir)
  }

  counts(): SlotCounts {
    const discarded = [...this.#discards.values()].reduce((sum, count) => sum + count, 0)
    const discardedFor = Object.fromEntries(this.#discards)
    return { idle: this.#idle(), ...this.#counts, discarded, discardedFor }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelAging()
    await Promise.all(Array.from(this.#shelves.values(), (shelf) => this.#clear(shelf)))
    // What a shelf that is gone already has given up.
    await Promise.all(this.#pending.keys())
  }

  #idle(): number {
    let idle = 0
    for (const shelf of this.#shelves.values()) idle += shelf.idle.length
    return idle
  }

  #shelfFor(shape: SandboxShape): Shelf {
    const key = keyOf(shape)
    const known = this.#shelves.get(key)
    if (known) return known
    const shelf = emptyShelf(key, shape)
    this.#shelves.set(key, shelf)
    return shelf
  }

  #dropEmpty(shelf: Shelf): void {
    if (shelf.idle.length + shelf.coming.length + shelf.used > 0) return
    if (this.#shelves.get(shelf.key) === shelf) this.#shelves.delete(shelf.key)
  }

  #isOpen(shelf: Shelf): boolean {
    return !this.#isClosed && !shelf.isReleased
  }

  #track(shelf: Shelf, work: Promise<unknown>): void {
    const settled = work.then(
      () => void this.#pending.delete(settled),
      () => void this.#pending.delete(settled),
    )
    this.#pending.set(settled, shelf)
  }

  async #make(shelf: Shelf): Promise<Slot> {
    const slot = await openSlot(this.#context, shelf.shape)
    this.#counts.made += 1
    return slot
  }

  async #find(shelf: Shelf): Promise<Slot> {
    const idle = shelf.idle.pop()
    if (idle) return idle.slot
    const coming = shelf.coming.shift()
    if (!coming) return this.#make(shelf)
    coming.isTaken = true
    return (await coming.slot) ?? this.#make(shelf)
  }

  #takeBack(shelf: Shelf, slot: Slot, state: SlotState): void {
    shelf.used -= 1
    if (!this.#isOpen(shelf) || this.#mode === 'cold') this.#discard(shelf, slot, 'unwanted')
    else if (state === 'unused') this.#park(shelf, slot)
    else if (state === 'spent' || this.#mode !== 'resident') this.#discard(shelf, slot, 'run')
    else if (slot.runs >= SANDBOX_LIMITS.slotRuns) this.#discard(shelf, slot, 'worn')
    else this.#expect(shelf, this.#empty(shelf, slot))
    this.#refill(shelf)
    this.#dropEmpty(shelf)
  }

  /** After a run and not during it: a sandbox that is being made would take the processor from the tool. */
  #refill(shelf: Shelf): void {
    const wanted = Math.min(shelf.mostUsed, SANDBOX_LIMITS.idleSlotsPerTool)
    const ready = shelf.idle.length + shelf.coming.length + shelf.used
    if (this.#mode === 'warm' && this.#isOpen(shelf) && ready < wanted) this.#expect(shelf, this.#make(shelf))
  }

  #expect(shelf: Shelf, making: Promise<Slot | undefined>): void {
    const coming: Coming = { slot: making.catch(() => undefined), isTaken: false }
    shelf.coming.push(coming)
    const put = async () => {
      const slot = await coming.slot
      if (coming.isTaken) return
      shelf.coming.splice(shelf.coming.indexOf(coming), 1)
      if (slot) this.#park(shelf, slot)
      this.#dropEmpty(shelf)
    }
    this.#track(shelf, put())
  }

  async #empty(shelf: Shelf, slot: Slot): Promise<Slot | undefined> {
    // The run that was in it is answered first; what it left is taken away before anybody else is let in.
    await nextTurn()
    const reason = await emptySlot(slot).catch((): Discard => 'silent')
    if (reason === null) return slot
    this.#discard(shelf, slot, reason)
    return undefined
  }

  #park(shelf: Shelf, slot: Slot): void {
    if (!this.#isOpen(shelf) || slot.isDead || shelf.idle.length >= SANDBOX_LIMITS.idleSlotsPerTool) {
      this.#discard(shelf, slot, slot.isDead ? 'silent' : 'unwanted')
      return
    }
    const entry = { slot, sinceMs: this.#clock.monotonicMs() }
    shelf.idle.push(entry)
    slot.sandbox.setAwake(false)
    void slot.sandbox.exited.then(() => {
      const at = shelf.idle.indexOf(entry)
      if (at === -1) return
      shelf.idle.splice(at, 1)
      this.#discard(shelf, slot, 'silent')
      this.#dropEmpty(shelf)
    })
    while (this.#idle() > SANDBOX_LIMITS.idleSlots) this.#evictOldest()
    this.#age()
  }

  #evictOldest(): void {
    const shelf = oldestOf(this.#shelves.values())?.shelf
    const entry = shelf?.idle.shift()
    if (!shelf || !entry) return
    shelf.mostUsed = shelf.used + shelf.idle.length
    this.#discard(shelf, entry.slot, 'unwanted')
    this.#dropEmpty(shelf)
  }

  /** Ends what nobody has wanted for too long. */
  #age(): void {
    this.#cancelAging()
    this.#cancelAging = () => {}
    for (;;) {
      const oldest = oldestOf(this.#shelves.values())
      if (!oldest) return
      const leftMs = oldest.sinceMs + SANDBOX_LIMITS.idleSlotMs - this.#clock.monotonicMs()
      if (leftMs > 0) {
        this.#cancelAging = this.#clock.after(leftMs, () => this.#age())
        return
      }
      this.#evictOldest()
    }
  }

  #discard(shelf: Shelf, slot: Slot, reason: Discard): void {
    this.#discards.set(reason, (this.#discards.get(reason) ?? 0) + 1)
    this.#track(shelf, closeSlot(slot))
  }

  /** Ends what is idle, and what would become it. */
  async #clear(shelf: Shelf): Promise<void> {
    shelf.isReleased = true
    for (const { slot } of shelf.idle.splice(0)) this.#discard(shelf, slot, 'unwanted')
    const own = () => [...this.#pending].flatMap(([work, owner]) => (owner === shelf ? [work] : []))
    for (let work = own(); work.length > 0; work = own()) await Promise.all(work)
    this.#dropEmpty(shelf)
  }
}
