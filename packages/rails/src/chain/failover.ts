import { HttpRequestError, type HttpTransport, TimeoutError } from 'viem'

/** Blocks by which one node may be behind another without being left: they never hear of a block at the same moment. */
const LAG_BLOCKS = 3n
/** Every so many looks at the head the other nodes are asked for theirs. */
const COMPARE_EVERY = 10

type End = ReturnType<HttpTransport>

/**
 * Several nodes of one chain as one: asks the same one as long as it answers, the next one when it does not, and moves
 * when another has a newer chain. What a node *says* is passed on as it is; only silence, and a head that stands still,
 * are reasons to leave it.
 */
export function failover(transports: readonly HttpTransport[]): HttpTransport {
  const [only] = transports
  if (only !== undefined && transports.length === 1) return only
  return (options) => {
    const ends = transports.map((transport) => transport(options))
    const state = { current: 0, looks: 0 }
    const request = async (...parameters: Parameters<End['request']>): Promise<unknown> => {
      const first = state.current
      let lost: unknown
      for (let turn = 0; turn < ends.length; turn += 1) {
        const index = (first + turn) % ends.length
        try {
          const result: unknown = await ends[index]?.request(...parameters)
          if (turn > 0) state.current = index
          compareHeads(ends, state, parameters[0], result)
          return result
        } catch (error) {
          if (!isLost(error)) throw error
          lost = error
        }
      }
      throw lost
    }
    return { ...(ends[0] as End), request: request as End['request'] }
  }
}

/** No answer, or none of a chain: anything else is a node's word. */
function isLost(error: unknown): boolean {
  return error instanceof HttpRequestError || error instanceof TimeoutError
}

/** Beside the talk, so that a slow node costs nobody time: the next request goes where the chain is newer. */
function compareHeads(
  ends: readonly End[],
  state: { current: number; looks: number },
  asked: { method: string; params?: unknown },
  result: unknown,
): void {
  const head = headOf(asked, result)
  if (head === null) return
  state.looks += 1
  if (state.looks % COMPARE_EVERY !== 0) return
  for (const [index, end] of ends.entries()) {
    if (index === state.current) continue
    end.request({ method: 'eth_blockNumber' }).then(
      (block: unknown) => {
        if (typeof block === 'string' && BigInt(block) > head + LAG_BLOCKS) state.current = index
      },
      () => {},
    )
  }
}

function headOf({ method, params }: { method: string; params?: unknown }, result: unknown): bigint | null {
  const isLatest = method === 'eth_getBlockByNumber' && Array.isArray(params) && params[0] === 'latest'
  if (!isLatest || typeof result !== 'object' || result === null || !('number' in result)) return null
  return typeof result.number === 'string' ? BigInt(result.number) : null
}
