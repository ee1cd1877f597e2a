import { type FromNode, OrienError } from '@orien/protocol'
import { instantOf, pause } from '../clock.ts'
import type { Random } from '../random.ts'
import { backoffMs } from './backoff.ts'
import { type ClockSkew, createSkewMeter } from './clockSkew.ts'
import type { Connection } from './connection.ts'
import { type Conversation, converse } from './converse.ts'
import { isPermanent } from './register.ts'

/** What a link is for. */
export type LinkContext = Omit<Conversation, 'onRival' | 'skew'> & {
  /** Makes the coordinator know the node; before the first connection, and again when it says it does not. */
  register(signal: AbortSignal): Promise<void>
  random: Random
}

/** How the link stands. */
export type LinkStatus = {
  state: 'connecting' | 'live' | 'stopped'
  /** The last refusal of registration or connection, until it succeeds. */
  refusal?: { code: string; detail: string }
  /** The last time that another node tried to connect with our key, while we were connected. */
  rival?: { at: string; detail: string }
  /** Against the coordinator's clock; absent until the first connection. */
  clock?: ClockSkew
}

/** An outbound connection that is made again whenever it is lost. */
export class Link {
  /** Resolves at the first `welcome`; rejects when the coordinator refuses for good. */
  readonly live: Promise<void>
  readonly #context: LinkContext & Pick<Conversation, 'onRival' | 'skew'>
  readonly #stopped = new AbortController()
  readonly #live = Promise.withResolvers<void>()
  readonly #status: LinkStatus = { state: 'connecting' }
  readonly #running: Promise<void>
  #current: Connection | undefined
  /** Counts what there was to register; a registration under way may already be of yesterday. */
  #wanted = 0
  #registered = -1
  #isRenewing = false
  /** Ends the pause before the next attempt. */
  #hurry = new AbortController()

  constructor(context: LinkContext) {
    const onRival = (detail: string) => this.#noteRival(detail)
    this.#context = { ...context, onRival, skew: createSkewMeter(context.clock) }
    this.live = this.#live.promise
    // Nobody has to wait for it.
    this.live.catch(() => {})
    this.#running = this.#run()
  }

  status(): LinkStatus {
    const clock = this.#context.skew.current()
    return structuredClone({ ...this.#status, ...(clock ? { clock } : {}) })
  }

  /**
   * Makes a new connection at once, for what only `hello` can tell; `registers` before it, when tools or price are others.
   */
  renew({ registers = false } = {}): void {
    if (registers) this.#wanted += 1
    this.#isRenewing = true
    this.#current?.close()
    this.#hurry.abort()
  }

  /** Says something on the present connection; the next one begins with `hello`, which says it anew. */
  say(message: FromNode): void {
    this.#current?.send(message)
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
      if (this.#isRenewing && wasLive) {
        this.#isRenewing = false
        continue
      }
      this.#hurry = new AbortController()
      const ended = AbortSignal.any([signal, this.#hurry.signal])
      await pause(clock, backoffMs(failures, random.fraction(), timing), ended)
      this.#isRenewing = false
      failures += 1
    }
    this.#status.state = 'stopped'
    this.#live.reject(new OrienError('coordinator_unreachable', 'the node was stopped'))
  }

  /** Registers if need be, connects, and stays for as long as it lasts. @returns whether the node was let in */
  async #attempt(): Promise<boolean> {
    try {
      if (this.#registered !== this.#wanted) await this.#register()
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
    const wanted = this.#wanted
    const timeout = AbortSignal.timeout(this.#context.timing.requestMs)
    await this.#context.register(AbortSignal.any([this.#stopped.signal, timeout]))
    this.#registered = wanted
  }

  #welcome(connection: Connection): void {
    this.#current = connection
    this.#status.state = 'live'
    delete this.#status.refusal
    this.#live.resolve()
    // Asked for while this one was being made: its hello may say what was true before.
    if (this.#isRenewing) connection.close()
  }

  #note(refusal: { code: string; detail: string }): void {
    this.#status.refusal = refusal
    this.#context.log.warn({ event: 'link.refused', ...refusal })
    // Our keys or tools are not the registered ones: only a registration can change that.
    if (refusal.code !== 'duplicate_node') this.#registered = -1
  }

  #noteRival(detail: string): void {
    const { clock, log } = this.#context
    this.#status.rival = { at: instantOf(clock.nowMs()), detail }
    log.error({ event: 'link.rival', code: 'duplicate_node', detail })
  }
}
