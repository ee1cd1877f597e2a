import {
  canonicalJson,
  type ExecutionView,
  endSession,
  type FileView,
  getBill,
  getExecution,
  getProvider,
  getSession,
  isSessionOver,
  type Json,
  least,
  listFiles,
  micros,
  OrienError,
  type SessionView,
  type UsdcMicros,
} from '@orien/protocol'
import { type ExecuteRequest, executeTool } from '../execution/execute.ts'
import { Execution } from '../execution/execution.ts'
import type { TransferOptions } from '../files/attempts.ts'
import { downloadFile, downloadPieces } from '../files/download.ts'
import { type FileContent, uploadFile } from '../files/upload.ts'
import { type FollowOptions, followSession, type SessionMessage } from '../sse/events.ts'
import { refresh, type SessionState } from './state.ts'
import { bindTools, type SessionTool } from './tools.ts'
import { topUp } from './topUp.ts'

type Abortable = { signal?: AbortSignal | undefined }

/** Most runs end within it, so that one request does it all; longer ones go on with events. */
const RUN_WAIT_MS = 30_000

/** A session with one provider: a budget, a workspace, and runs of its tools. */
export class Session {
  readonly id: SessionView['id']
  readonly #state: SessionState

  constructor(state: SessionState) {
    this.id = state.id
    this.#state = state
  }

  get providerId(): SessionView['providerId'] {
    return this.#state.view.providerId
  }

  /** What signed receipts add up to so far, as far as they were seen here. */
  get consumedMicros(): UsdcMicros {
    return this.#state.chain.consumedMicros
  }

  /** The coordinator's present view. */
  async state(options: Abortable = {}): Promise<SessionView> {
    this.#state.view = await this.#state.context.http.call(getSession, { params: { id: this.id } }, options)
    return this.#state.view
  }

  /** Starts a run; see {@link executeTool}. */
  execute(request: ExecuteRequest): Promise<Execution> {
    return executeTool(this.#state, request)
  }

  /** A run of this session that was started before, by this process or an earlier one. */
  async execution(id: ExecutionView['id'], options: Abortable = {}): Promise<Execution> {
    const view = await this.#state.context.http.call(getExecution, { params: { id } }, options)
    if (view.sessionId !== this.id) throw new OrienError('not_found', 'the run is of another session')
    return new Execution(this.#state, view)
  }

  /** Starts a run and waits for its result. */
  async run(request: ExecuteRequest): Promise<ExecutionView> {
    const execution = await this.execute({ waitMs: RUN_WAIT_MS, ...request })
    return execution.wait({ signal: request.signal })
  }

  /** The provider's tools, in the form that model APIs take. */
  async tools(): Promise<readonly SessionTool[]> {
    const provider = await this.#state.context.http.call(getProvider, { params: { id: this.providerId } })
    return bindTools(provider, (request) => this.run(request))
  }

  /** Every numbered event once and in order, live messages between them; ends when the session is over. */
  events(
    options: Pick<FollowOptions, 'after' | 'signal'> = {},
  ): AsyncGenerator<SessionMessage, void, undefined> {
    return followSession(this.#state.context.http, this.id, options)
  }

  /** Writes a file into the workspace; see {@link uploadFile}. */
  upload(name: string, content: FileContent, options: TransferOptions = {}) {
    return uploadFile(this.#state.context.http, this.id, name, content, options)
  }

  /** Reads a file of the workspace into memory, its SHA-256 checked; see {@link downloadPieces}. */
  download(name: string, options: TransferOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    return downloadFile(this.#state.context.http, this.id, name, options)
  }

  /** The same, piece by piece, for files that should not be held in memory. */
  downloadPieces(
    name: string,
    options: TransferOptions = {},
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    return downloadPieces(this.#state.context.http, this.id, name, options)
  }

  /** The files of the workspace, with their sizes and hashes. */
  async files(options: Abortable = {}): Promise<readonly FileView[]> {
    const { items } = await this.#state.context.http.call(listFiles, { params: { id: this.id } }, options)
    return items
  }

  /** Adds to the deposit; see {@link topUp}. */
  topUp(additionalMicros: UsdcMicros): Promise<SessionView> {
    return topUp(this.#state, additionalMicros)
  }

  /** Ends the session: running tools are stopped, then it is settled and the rest refunded. Ending twice is fine. */
  async end(options: Abortable = {}): Promise<SessionView> {
    const { http } = this.#state.context
    try {
      this.#state.view = await http.call(endSession, { params: { id: this.id } }, options)
      return this.#state.view
    } catch (error) {
      // One that has failed is over as well.
      if (error instanceof OrienError && error.code === 'illegal_transition') return this.state(options)
      throw error
    }
  }

  /**
   * Waits until payout and refund are final (or the session has failed), then checks the whole chain of receipts.
   *
   * @throws OrienError when receipts are wrong or missing
   */
  async settled(options: Abortable = {}): Promise<SessionView> {
    const { context, chain, counted } = this.#state
    if (!isSessionOver((await this.state(options)).status)) {
      await this.#over(options)
    }
    const final = await refresh(this.#state)
    chain.assertComplete(final.consumedMicros)
    let restMicros: bigint = final.budgetMicros - final.consumedMicros
    for (const { amountMicros, atMs } of counted.splice(0)) {
      const refundMicros = least(amountMicros, micros(restMicros))
      restMicros -= refundMicros
      await context.guard.countRefund(refundMicros, atMs)
    }
    return final
  }

  /** Reads on until the session is over. */
  async #over(options: Abortable): Promise<void> {
    const events = this.events(options)
    while (!(await events.next()).done) {
      // Only the end of the stream matters.
    }
  }

  /** The bill as one canonical text: keep it, it can be verified with the coordinator switched off. */
  async bill(options: Abortable = {}): Promise<string> {
    const bill = await this.#state.context.http.call(getBill, { params: { id: this.id } }, options)
    return `${canonicalJson(bill as Json)}\n`
  }
}
