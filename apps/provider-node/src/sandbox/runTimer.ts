import type { RunFacts, RunSpec, Stop } from './driver.ts'

const NS_PER_MICRO = 1_000n
const NS_PER_MS = 1_000_000
const MICROS_PER_MS = 1_000

/** The time of a run for the drivers that have no helper to keep it: the node measures, and ends it, by itself. */
export class RunTimer {
  readonly #spec: RunSpec
  readonly #kill: () => void
  #stop: Stop = 'exit'
  #startNs: bigint | undefined
  #stopNs: bigint | undefined
  #deadlineMs: number
  #timer: NodeJS.Timeout | undefined

  /** @param kill ends what runs, if anything does; called at the end that is decided here, and again by `begin` when that was before it */
  constructor(spec: RunSpec, kill: () => void) {
    this.#spec = spec
    this.#kill = kill
    this.#deadlineMs = spec.deadlineMs
  }

  /** Why the run ended; `exit` while nothing has ended it. */
  get stop(): Stop {
    return this.#stop
  }

  begin(): void {
    this.#startNs = process.hrtime.bigint()
    // What was ended on its way to the start has not been killed: nothing was there yet.
    if (this.#stop !== 'exit') this.#kill()
    else this.#watch()
  }

  /** The first reason counts. */
  end(stop: Stop): void {
    if (this.#stop !== 'exit') return
    this.#stop = stop
    this.#stopNs = process.hrtime.bigint()
    this.#kill()
  }

  extend(deadlineMs: number): void {
    if (deadlineMs <= this.#deadlineMs) return
    this.#deadlineMs = deadlineMs
    this.#watch()
  }

  /** Called when nothing of the run is alive any more. */
  close(): void {
    clearTimeout(this.#timer)
  }

  /** @param stop what the driver found to be the reason */
  facts(stop: Stop): Pick<RunFacts, 'effectiveMicros' | 'lifeMs'> {
    if (stop === 'sandbox_error' || this.#startNs === undefined) return { effectiveMicros: 0, lifeMs: 0 }
    const deadNs = process.hrtime.bigint()
    const usedMicros = Number(((this.#stopNs ?? deadNs) - this.#startNs) / NS_PER_MICRO)
    const cutMicros = Math.floor(this.#limitMs() * MICROS_PER_MS)
    return {
      effectiveMicros: Math.max(0, Math.min(usedMicros, cutMicros)),
      lifeMs: Math.ceil(Number(deadNs - this.#startNs) / NS_PER_MS),
    }
  }

  #limitMs(): number {
    return Math.min(this.#spec.limits.timeMs, this.#deadlineMs)
  }

  #watch(): void {
    if (this.#startNs === undefined || this.#stop !== 'exit') return
    const leftMs = this.#limitMs() - Number(process.hrtime.bigint() - this.#startNs) / NS_PER_MS
    clearTimeout(this.#timer)
    // Node's timers keep another clock and may fire early: the rest is waited for, never given away.
    if (leftMs > 0) this.#timer = setTimeout(() => this.#watch(), Math.ceil(leftMs))
    else this.end(this.#deadlineMs < this.#spec.limits.timeMs ? 'deadline' : 'time_limit')
  }
}
