import { OrienError } from '@orien/protocol'
import { pause } from '../clock.ts'
import type { Random } from '../random.ts'
import { backoffMs } from './backoff.ts'
import type { Connection } from './connection.ts'
import { type Conversation, converse } from './converse.ts'
import { isPermanent } from './register.ts'

/** What a link is for. */
export type LinkContext = Conversation & {
  /** Makes the coordinator know the node; before the first connection, and again when it says it does not. */
  register(signal: AbortSignal): Promise<void>
  random: Random
}

/** How the link stands. */
export type LinkStatus = {
  state: 'connecting' | 'live' | 'stopped'
  /** The last refusal of registration or connection, until it succeeds. */
  refusal?: { code: string; detail: string }
}

/** An outbound connection that is made again whenever it is lost. */
export class Link {
  /** Resolves at the first `welcome`; rejects when the coordinator refuses for good. */
  readonly live: Promise<void>
  readonly #context: LinkContext
  readonly #stopped = new AbortController()
  readonly #live = Promise.withResolvers<void>()
  readonly #status: LinkStatus = { state: 'connecting' }
  readonly #running: Promise<void>
  #current: Connection | undefined
  #isRegistered = false

  constructor(context: LinkContext) {
    this.#context = context
    this.live = this.#live.promise
    // Nobody has to wait for it.
    this.live.catch(() => {})
    this.#running = this.#run()
  }

  status(): LinkStatus {
    return structuredClone(this.#status)
  }

  /** Makes a new connection, for what only `hello` can tell. */
  renew(): void {
    this.#current?.close()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, random, timing } = this.#context
    const { signal } = this.#stopped
    let failures = 0
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs()
      const wasLive = await this.#attempt()
      this.#status.state = 'connecting'
      this.#current = undefined
      if (wasLive && clock.monotonicMs() - beganMs >= timing.settledMs) failures = 0
      await pause(clock, backoffMs(failures, random.fraction(), timing), signal)
      failures += 1
    }
    this.#status.state = 'stopped'
    this.#live.reject(new OrienError('coordinator_unreachable', 'the node was stopped'))
  }

  /** Registers if need be, connects, and stays for as long as it lasts. @returns whether the node was let in */
  async #attempt(): Promise<boolean> {
    try {
      if (!this.#isRegistered) await this.#register()
      const ending = await converse(this.#context, this.#stopped.signal, (connection) =>
        this.#welcome(connection),
      )
      if (ending.refusal) this.#note(ending.refusal)
      return ending.welcomed
    } catch (error) {
      if (this.#stopped.signal.aborted) return false
      const known =
        error instanceof OrienError
          ? error
          : new OrienError('internal_error', undefined, {}, { cause: error })
      this.#note({ code: known.code, detail: known.message })
      if (isPermanent(error)) this.#live.reject(known)
      return false
    }
  }

  async #register(): Promise<void> {
    const timeout = AbortSignal.timeout(this.#context.timing.requestMs)
    await this.#context.register(AbortSignal.any([this.#stopped.signal, timeout]))
    this.#isRegistered = true
  }

  #welcome(connection: Connection): void {
    this.#current = connection
    this.#status.state = 'live'
    delete this.#status.refusal
    this.#live.resolve()
  }

  #note(refusal: { code: string; detail: string }): void {
    this.#status.refusal = refusal
    this.#context.log.warn({ event: 'link.refused', ...refusal })
    // Our keys or tools are not the registered ones: only a registration can change that.
    if (refusal.code !== 'duplicate_node') this.#isRegistered = false
  }
}
