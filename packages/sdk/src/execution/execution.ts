import { cancelExecution, type ExecutionView, getExecution, OrienError } from '@orien/protocol'
import { isFinished, type SessionState, takeResult } from '../session/state.ts'
import { endsRun, type SessionMessage } from '../sse/events.ts'
import { type LogPiece, readLogs } from './logs.ts'

/** One run of a tool. */
export class Execution {
  readonly id: ExecutionView['id']
  readonly #state: SessionState
  #view: ExecutionView

  constructor(state: SessionState, view: ExecutionView) {
    this.id = view.id
    this.#state = state
    this.#view = view
    if (isFinished(view)) takeResult(state, view)
  }

  /** The last known view; not necessarily the present one. */
  get view(): ExecutionView {
    return this.#view
  }

  /** Why the run was given no further step: it ended, or will end, at its grant with `authorization_expired`. */
  get refusal(): OrienError | undefined {
    return this.#state.refusals.get(this.id)
  }

  /** The result, its receipt checked; undefined while the run goes on. */
  get result(): ExecutionView | undefined {
    return isFinished(this.#view) ? this.#view : undefined
  }

  /**
   * Waits for the end of the run. A failed run is a result, not an error: see its `status` and `reason`.
   *
   * @throws OrienError `receipt_disputed` when the node's receipt contradicts what the coordinator saw: the run has no
   * result then, and costs nothing; others when the receipt is wrong, or the coordinator cannot be reached
   */
  async wait(options: { signal?: AbortSignal | undefined } = {}): Promise<ExecutionView> {
    if (this.result) return this.result
    const { signal } = options
    const { feed } = this.#state
    let stop = () => {}
    let aborted = () => {}
    const end = new Promise<void>((resolve, reject) => {
      aborted = () => reject(signal?.reason)
      // Listening starts before the first look, so an end between the two is not missed.
      stop = feed.listen({
        message: (message) => this.#isEnd(message) && resolve(),
        failed: (error) => (error === undefined ? resolve() : reject(error)),
      })
    })
    // Nobody may be left to hear of a late failure.
    end.catch(() => undefined)
    signal?.addEventListener('abort', aborted, { once: true })
    try {
      signal?.throwIfAborted()
      await this.#look()
      if (!this.result) await end
      await this.#look()
    } finally {
      stop()
      signal?.removeEventListener('abort', aborted)
    }
    if (this.result) return this.result
    throw new OrienError('unreadable', 'the run has ended, yet it has no result', { executionId: this.id })
  }

  /** Asks for the present view. */
  async refresh(): Promise<ExecutionView> {
    if (this.result) return this.result
    const view = await this.#state.context.http.call(getExecution, { params: { id: this.id } })
    if (isFinished(view)) takeResult(this.#state, view)
    this.#view = view
    return view
  }

  /**
   * Stops the run; what it used so far is billed. Cancelling a run that has ended changes nothing.
   *
   * @returns the view after the request; `wait()` for the result
   */
  async cancel(): Promise<ExecutionView> {
    try {
      await this.#state.context.http.call(cancelExecution, { params: { id: this.id } })
    } catch (error) {
      if (!(error instanceof OrienError && error.code === 'execution_finished')) throw error
    }
    return this.refresh()
  }

  /** The output as it comes; see {@link readLogs}. */
  logs(
    options: { after?: number; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<LogPiece, void, undefined> {
    return readLogs(this.#state.context.http, this.id, options)
  }

  async #look(): Promise<void> {
    const { dispute } = await this.refresh()
    if (dispute) throw new OrienError('receipt_disputed', dispute.detail, { dispute: dispute.code })
  }

  #isEnd(message: SessionMessage): boolean {
    return message.kind === 'event' && endsRun(message.event, this.id)
  }
}
