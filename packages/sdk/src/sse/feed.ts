import type { HttpClient } from '../http/client.ts'
import { followSession, type SessionMessage } from './events.ts'

type Listener = { message: (message: SessionMessage) => void; failed: (error: unknown) => void }

/**
 * One connection to a session's events for all who listen. It is open only while someone does, and goes on where it
 * stopped, so no listener misses an event that happens after it began to listen.
 */
export class EventFeed {
  readonly #http: HttpClient
  readonly #sessionId: string
  readonly #listeners = new Set<Listener>()
  #last = 0
  #stop: AbortController | undefined

  constructor(http: HttpClient, sessionId: string) {
    this.#http = http
    this.#sessionId = sessionId
  }

  /** @returns a function that ends the subscription */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    this.#stop ??= this.#start()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#stop?.abort()
      this.#stop = undefined
    }
  }

  #start(): AbortController {
    const stop = new AbortController()
    this.#run(stop.signal).then(
      () => this.#ended(stop),
      (error: unknown) => this.#ended(stop, error),
    )
    return stop
  }

  async #run(signal: AbortSignal): Promise<void> {
    for await (const message of followSession(this.#http, this.#sessionId, { after: this.#last, signal })) {
      if (signal.aborted) return
      if (message.kind === 'event') this.#last = message.event.sequence
      for (const listener of [...this.#listeners]) listener.message(message)
    }
  }

  #ended(stop: AbortController, error?: unknown): void {
    if (this.#stop !== stop) return
    this.#stop = undefined
    const left = [...this.#listeners]
    this.#listeners.clear()
    // Without an error the session is over: whoever still waits reads its final state.
    for (const listener of left) listener.failed(error)
  }
}
