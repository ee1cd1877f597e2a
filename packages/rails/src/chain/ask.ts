import { BaseError, type Hex, HttpRequestError, isHex, RpcRequestError, TimeoutError } from 'viem'
import { CHAIN_LIMITS } from './limits.ts'

/** What came of a request to a chain. */
export type Answer<T> =
  | { status: 'answered'; value: T }
  /** The node said no; `isRevert`: because the contract did, and `data` is what it said. `code` is JSON-RPC's, where there is one. */
  | { status: 'refused'; message: string; isRevert: boolean; data: Hex | null; code?: number }
  /** Nothing can be concluded: no connection, no answer in time, or not from a chain. */
  | { status: 'unreachable'; detail: string }

/** The part of every reading's result that says that there was none. */
export type Unreachable = Extract<Answer<never>, { status: 'unreachable' }>

/** The code that most nodes give a call that reverts (https://ethereum.org/developers/docs/apis/json-rpc). */
const REVERTED = 3

/** Turns the outcomes of a viem request into a union. Errors that are not the chain's are thrown on. */
export async function ask<T>(request: Promise<T>): Promise<Answer<T>> {
  try {
    return { status: 'answered', value: await request }
  } catch (error) {
    if (!(error instanceof BaseError)) throw error
    const lost = error.walk((cause) => cause instanceof HttpRequestError || cause instanceof TimeoutError)
    if (lost !== null) return { status: 'unreachable', detail: shorten(error.shortMessage) }
    const refusal = error.walk((cause) => cause instanceof RpcRequestError)
    if (refusal instanceof RpcRequestError) {
      const data = revertData(refusal.data)
      const isRevert = data !== null || refusal.code === REVERTED || /revert/i.test(refusal.details)
      return { status: 'refused', message: shorten(refusal.details), isRevert, data, code: refusal.code }
    }
    const message = shorten(error.shortMessage)
    return { status: 'refused', message, isRevert: /revert/i.test(message), data: null }
  }
}

/** Asks for a value without which nothing can be said: a refusal is as bad as silence. */
export async function askValue<T>(
  request: Promise<T>,
): Promise<{ status: 'answered'; value: T } | Unreachable> {
  const answer = await ask(request)
  return answer.status === 'refused' ? { status: 'unreachable', detail: answer.message } : answer
}

function shorten(text: string): string {
  return text.slice(0, CHAIN_LIMITS.detailChars)
}

/** Nodes put revert data into `data` itself or one level below. */
function revertData(data: unknown): Hex | null {
  if (isHex(data)) return data
  if (typeof data === 'object' && data !== null && 'data' in data && isHex(data.data)) return data.data
  return null
}
