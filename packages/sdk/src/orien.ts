import {
  getHealth,
  getProvider,
  getSession,
  listSessions,
  type Operation,
  OrienError,
  type ProviderView,
  type SessionView,
} from '@orien/protocol'
import type { OrienAccount } from './account.ts'
import { resumeRuns } from './execution/authoriseSteps.ts'
import { type CallOptions, createHttpClient, type HttpClient } from './http/client.ts'
import type { CallRequest } from './http/encode.ts'
import type { Fetch } from './http/transport.ts'
import { DEFAULT_TIMEOUTS, type Timeouts } from './http/watch.ts'
import { memorySpendingRecord, type Policy, SpendingGuard, type SpendingRecord } from './policy.ts'
import { chooseProvider, findProviders, type ProviderFilter } from './providers.ts'
import { type RunRequest, type RunResult, runOnce } from './runOnce.ts'
import type { Pinned } from './session/checkTerms.ts'
import { type OpenSessionRequest, open } from './session/open.ts'
import { Session } from './session/session.ts'
import { buildState, type ChannelRecord, refresh, type SessionContext } from './session/state.ts'
import { createSignIn } from './signIn.ts'

/** What an {@link Orien} is made of. */
export type OrienOptions = {
  /** Of the coordinator, e.g. `http://localhost:3000`. */
  baseUrl: string
  /** The agent's wallet. Without one only public calls work, or those that `token` allows. */
  account?: OrienAccount
  /** A bearer token or API key to use instead of signing in. */
  token?: string
  /** An endpoint of the chain: deposits are then timed by its clock. */
  rpcUrl?: string
  fetch?: Fetch
  timeouts?: Partial<Timeouts>
  policy?: Policy
  /** Where what it takes to leave without a coordinator is kept (`orien exit`). */
  channels?: ChannelRecord
  /** Where what was deposited is kept across processes: what a policy's caps are judged by. */
  spendingRecord?: SpendingRecord
  /** Ids of the only providers that sessions may be opened with. */
  trustedProviders?: readonly string[]
  /** Chain and contracts that the caller knows by itself. */
  pinned?: Pinned
}

/**
 * An agent's side of ORIEN: one coordinator, one wallet.
 *
 * @example
 * const orien = new Orien({ baseUrl: 'http://localhost:3000', account: privateKeyToAccount(key) })
 * const { execution } = await orien.run({ tool: 'execute_script', args: { language: 'python', code: 'print(42)' }, budgetMicros: micros(100_000n) })
 */
export class Orien {
  readonly baseUrl: string
  readonly #http: HttpClient
  readonly #context: SessionContext
  readonly #trusted: readonly string[] | undefined

  constructor(options: OrienOptions) {
    const { account, token } = options
    this.baseUrl = options.baseUrl.replace(/\/+$/, '')
    const signIn = account && createSignIn(account, this.baseUrl)
    this.#http = createHttpClient({
      baseUrl: this.baseUrl,
      // Bound, because browsers refuse a fetch that is called as a method of something else.
      fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      token: async (client, renew) => token ?? (await signIn?.(client, renew)),
    })
    this.#trusted = options.trustedProviders
    this.#context = {
      http: this.#http,
      guard: new SpendingGuard(options.policy ?? {}, options.spendingRecord ?? memorySpendingRecord()),
      pinned: options.pinned ?? {},
      rpcUrl: options.rpcUrl,
      deposits: new Map(),
      channels: options.channels,
      account: () => {
        if (account) return account
        throw new OrienError('unauthorized', 'a wallet is needed to pay for a session')
      },
    }
  }

  /** Calls an operation of the table: checked, encoded, timed, repeated where that is safe. */
  call<Op extends Operation>(op: Op, request: CallRequest<Op>, options: CallOptions = {}) {
    return this.#http.call(op, request, options)
  }

  health() {
    return this.#http.call(getHealth, {})
  }

  /** All providers that match. */
  providers(filter: ProviderFilter = {}): Promise<ProviderView[]> {
    return findProviders(this.#http, filter)
  }

  provider(id: ProviderView['id']): Promise<ProviderView> {
    return this.#http.call(getProvider, { params: { id } })
  }

  /** The sessions of this agent, newest first; one page. */
  sessions(query: CallRequest<typeof listSessions>['query'] = {}) {
    return this.#http.call(listSessions, { query })
  }

  /** Opens and starts a session; see {@link open}. */
  async openSession(request: OpenSessionRequest): Promise<Session> {
    if (this.#trusted && !this.#trusted.includes(request.providerId)) {
      throw new OrienError('forbidden', 'the provider is not among the trusted ones')
    }
    return new Session(await open(this.#context, request))
  }

  /**
   * Re-attaches to a session of this wallet: its key is derived again, its receipts are read and checked, and runs that
   * go in steps are answered for again, within what this policy allows.
   */
  async session(id: SessionView['id']): Promise<Session> {
    const view = await this.#http.call(getSession, { params: { id } })
    const provider = await this.#http.call(getProvider, { params: { id: view.providerId } })
    const state = await buildState(this.#context, view, provider)
    await refresh(state)
    await resumeRuns(state)
    return new Session(state)
  }

  /** One run from nothing to its result: chooses a provider, opens, uploads, runs, downloads, ends. */
  async run(request: RunRequest): Promise<RunResult> {
    const { tool, maxRateMicros } = request
    const wanted = { tool, maxRateMicros, trusted: this.#trusted }
    const provider = request.provider ?? (await chooseProvider(this.#http, wanted)).id
    return runOnce({ ...request, provider }, (session) => this.openSession(session))
  }
}
