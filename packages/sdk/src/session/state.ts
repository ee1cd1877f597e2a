import {
  type ChannelTerms,
  channelId,
  type DepositAuthorization,
  type ExecutionView,
  executionStatus,
  getMetering,
  getSession,
  type Hex,
  invariant,
  LIMITS,
  OrienError,
  type SessionView,
  type UsdcMicros,
} from '@orien/protocol'
import type { OrienAccount } from '../account.ts'
import type { HttpClient } from '../http/client.ts'
import type { SpendingGuard } from '../policy.ts'
import { ReceiptChain } from '../receipts/chain.ts'
import { checkResult } from '../receipts/checkReceipt.ts'
import { EventFeed } from '../sse/feed.ts'
import { checkTerms, type Pinned, type SessionTerms } from './checkTerms.ts'
import { deriveSessionKey, type SessionKey } from './sessionKey.ts'
import { Spending } from './spending.ts'

/** What an agent needs of a session to take its money back when nobody else is left. Nothing in it is secret. */
export type KeptChannel = { sessionId: SessionView['id']; channel: ChannelTerms }

/** Where channels are kept, for the day on which no coordinator answers. */
export type ChannelRecord = {
  /** Resolves when it is safe; called before a deposit is sent, and again whenever a session is taken up. */
  keep: (kept: KeptChannel) => Promise<void>
}

/** What the verbs of all sessions share. */
export type SessionContext = {
  http: HttpClient
  guard: SpendingGuard
  pinned: Pinned
  rpcUrl: string | undefined
  account: () => OrienAccount
  /** Opening deposits that were signed, by session: while one lives, no second one is signed. */
  deposits: Map<string, DepositAuthorization>
  channels: ChannelRecord | undefined
}

/** What is known of one session, and shared by everything that acts on it. */
export type SessionState = {
  readonly context: SessionContext
  readonly id: SessionView['id']
  readonly terms: SessionTerms
  readonly key: SessionKey
  readonly channel: ChannelTerms
  readonly channelId: Hex
  readonly chain: ReceiptChain
  readonly spending: Spending
  readonly feed: EventFeed
  /** Why runs were given no further step, by execution. */
  readonly refusals: Map<string, OrienError>
  /** The coordinator's last word; amounts in it are claims, the chain of receipts is the proof. */
  view: SessionView
  /** What opens the channel, where this process has signed it. */
  deposit: DepositAuthorization | null
  /** Deposits that were counted into the policy's day by this process, and when. */
  counted: { amountMicros: UsdcMicros; atMs: number }[]
}

/** Whether a run can still change. */
export function isFinished(view: ExecutionView): boolean {
  return view.status === executionStatus.enum.completed || view.status === executionStatus.enum.failed
}

/**
 * Builds the state of a session from what the coordinator says, checked.
 *
 * @throws OrienError `signature_invalid` when something in it is not signed by whom it concerns, or when the channel
 * belongs to another wallet
 */
export async function buildState(
  context: SessionContext,
  view: SessionView,
  provider: Parameters<typeof checkTerms>[1],
): Promise<SessionState> {
  const terms = checkTerms(view, provider, context.pinned)
  const account = context.account()
  const key = await deriveSessionKey(account, view.id)
  const { chainId, escrow, token, payee, salt } = view.payment
  const payer = account.address.toLowerCase() as Hex
  const channel: ChannelTerms = { chainId, escrow, token, payee, salt, payer, authorizedSigner: key.address }
  const id = channelId(channel)
  if (view.channelId !== undefined && view.channelId !== id) {
    throw new OrienError('signature_invalid', 'the session’s channel is of another wallet or session key')
  }
  await context.channels?.keep({ sessionId: view.id, channel })
  const bound = { sessionId: view.id, channelId: id, nodeKey: terms.nodeKey, offer: terms.offer }
  return {
    context,
    id: view.id,
    terms,
    key,
    channel,
    channelId: id,
    chain: new ReceiptChain(bound, terms.offerHash),
    spending: new Spending(),
    feed: new EventFeed(context.http, view.id),
    refusals: new Map(),
    view,
    deposit: null,
    counted: [],
  }
}

/**
 * Takes in all receipts that the coordinator has recorded and its present view of the session.
 *
 * @throws OrienError when a receipt or its place is wrong
 */
export async function refresh(state: SessionState): Promise<SessionView> {
  const { http } = state.context
  let cursor: string | undefined
  do {
    const query = {
      sessionId: state.id,
      limit: LIMITS.pageItems,
      ...(cursor === undefined ? {} : { cursor }),
    }
    const page = await http.call(getMetering, { query })
    for (const item of page.items) {
      const { receipt } = state.chain.accept(item.receipt)
      state.spending.releaseExecution(receipt.executionId)
    }
    invariant(page.nextCursor === undefined || page.nextCursor !== cursor, 'a cursor moves on')
    cursor = page.nextCursor
  } while (cursor !== undefined)
  state.view = await http.call(getSession, { params: { id: state.id } })
  return state.view
}

/**
 * Takes in the outcome of a run: its receipt is checked before the result is believed, and its hold is free again.
 *
 * @throws OrienError `receipt_mismatch`, `signature_invalid`, `receipt_disputed` or `receipt_out_of_order`
 */
export function takeResult(state: SessionState, view: ExecutionView): void {
  invariant(isFinished(view), 'a result is final')
  state.spending.releaseExecution(view.id)
  if (view.receipt !== undefined) {
    checkResult(view, state.chain.accept(view.receipt))
    return
  }
  if (view.reason === 'lost' && view.costMicros === 0n) return
  throw new OrienError('receipt_mismatch', 'the execution has ended without a receipt', {
    executionId: view.id,
  })
}
