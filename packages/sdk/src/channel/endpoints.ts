import type { Transport } from 'viem'

/** The addresses in a list with commas between them. */
export function endpointsOf(list: string): string[] {
  return list
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '')
}

/** What of viem is used: it is loaded late. */
type Viem = Pick<typeof import('viem'), 'createTransport' | 'http' | 'HttpRequestError' | 'TimeoutError'>

/**
 * Several endpoints of one chain as one: the same one is asked as long as it answers, and the next one when it does not.
 * None is believed before it has said that it serves the chain that is meant, and again after it was away; what it says
 * then is passed on as it is, refusals included.
 *
 * @param chainId the chain that is meant, once that is known; before, that of the first one that answers
 */
export function severalEndpoints(
  { createTransport, http, HttpRequestError, TimeoutError }: Viem,
  urls: readonly string[],
  { timeoutMs, chainId }: { timeoutMs: number; chainId: () => number | undefined },
): Transport {
  return (options) => {
    const ends = urls.map((url) => ({
      ask: http(url, { timeout: timeoutMs, retryCount: 0 })(options).request,
      isTrusted: false,
    }))
    let first: number | undefined
    let current = 0
    const ask = async (end: (typeof ends)[number], question: { method: string; params?: unknown }) => {
      if (!end.isTrusted) {
        const served = Number(await end.ask({ method: 'eth_chainId' }))
        first ??= served
        const details = 'it serves another chain'
        if (served !== (chainId() ?? first)) throw new HttpRequestError({ url: 'an endpoint', details })
        end.isTrusted = true
      }
      return end.ask(question as never)
    }
    const request = async (question: { method: string; params?: unknown }) => {
      let lost: unknown
      const from = current
      for (const turn of ends.keys()) {
        const index = (from + turn) % ends.length
        const end = ends[index] as (typeof ends)[number]
        try {
          const result = await ask(end, question)
          current = index
          return result
        } catch (error) {
          if (!(error instanceof HttpRequestError || error instanceof TimeoutError)) throw error
          end.isTrusted = false
          lost = error
        }
      }
      throw lost
    }
    const facts = { key: 'several', name: 'Several endpoints', type: 'several', retryCount: 0 }
    return createTransport({ ...facts, request: request as never })
  }
}
