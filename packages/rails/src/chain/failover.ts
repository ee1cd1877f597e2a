import { HttpRequestError, type HttpTransport, TimeoutError } from 'viem'

/** Blocks by which one node may be behind another without being left: they never hear of a block at the same moment. */
const LAG_BLOCKS = 3n
/** Every so many looks at the head the other nodes are asked for theirs. */
const COMPARE_EVERY = 10

/** A node that is not asked any more, by its place in the list, counted from 0: its address may hold a key. */
export type RefusedEndpoint = { endpoint: number; code: 'wrong_chain'; detail: string }

/** What the nodes of a list have to be. */
export type FailoverTerms = {
  /** The chain that all of them have to serve; null: that of the first one that answers. */
  chainId: number | null
  onRefused?: (refusal: RefusedEndpoint) => void
}

type End = ReturnType<HttpTransport>
type Question = { method: string; params?: unknown }

/** One node of the list, and whether it is known to serve the chain that is meant. */
type Member = { ask: (question: Question) => Promise<unknown>; isTrusted: boolean; isTold: boolean }

/**
 * Several nodes of one chain as one: asks the same one as long as it answers, the next one when it does not, and moves
 * when another has a newer chain. No node is believed before it has said which chain it serves, and again after it was
 * away: behind an address there may be another one by then. What a node *says* is passed on as it is; only silence,
 * another chain, and a head that stands still are reasons to leave it.
 */
export function failover(transports: readonly HttpTransport[], terms: FailoverTerms): HttpTransport {
  const [only] = transports
  if (only !== undefined && transports.length === 1) return only
  return (options) => {
    const ends = transports.map((transport) => transport(options))
    const group = createGroup(ends, terms)
    const request = async (question: Question): Promise<unknown> => {
      const first = group.current()
      let lost: unknown
      for (let turn = 0; turn < ends.length; turn += 1) {
        const index = (first + turn) % ends.length
        try {
          const result = await group.ask(index, question)
          if (turn > 0) group.moveTo(index)
          group.compareHeads(question, result)
          return result
        } catch (error) {
          if (!isLost(error)) throw error
          group.distrust(index)
          lost = error
        }
      }
      throw lost
    }
    return { ...(ends[0] as End), request: request as End['request'] }
  }
}

/** No answer, or none of this chain: anything else is a node's word. */
function isLost(error: unknown): boolean {
  return error instanceof HttpRequestError || error instanceof TimeoutError
}

function memberOf({ request }: End): Member {
  return { ask: request as unknown as Member['ask'], isTrusted: false, isTold: false }
}

function createGroup(ends: readonly End[], terms: FailoverTerms) {
  let current = 0
  let looks = 0
  let chainId = terms.chainId
  const members = ends.map(memberOf)

  /** @throws HttpRequestError when the node serves another chain, or does not say which */
  async function requireOurs(member: Member, endpoint: number): Promise<void> {
    if (member.isTrusted) return
    const answer = await member.ask({ method: 'eth_chainId' })
    const served = typeof answer === 'string' && /^0x[0-9a-f]+$/i.test(answer) ? Number(answer) : null
    chainId ??= served
    if (served !== null && served === chainId) {
      member.isTrusted = true
      member.isTold = false
      return
    }
    const detail = `endpoint ${endpoint + 1} serves chain ${served ?? 'unknown'}, not ${chainId ?? 'one that it names'}`
    if (!member.isTold) terms.onRefused?.({ endpoint, code: 'wrong_chain', detail })
    member.isTold = true
    throw new HttpRequestError({ url: `endpoint ${endpoint + 1}`, details: `wrong_chain: ${detail}` })
  }

  const ask = async (index: number, question: Question): Promise<unknown> => {
    const member = members[index]
    if (member === undefined) throw new HttpRequestError({ url: '', details: 'No such endpoint' })
    await requireOurs(member, index)
    return member.ask(question)
  }

  return {
    ask,
    current: () => current,
    moveTo: (index: number) => {
      current = index
    },
    distrust: (index: number) => {
      const member = members[index]
      if (member) member.isTrusted = false
    },
    /** Beside the talk, so that a slow node costs nobody time: the next request goes where the chain is newer. */
    compareHeads: (question: Question, result: unknown): void => {
      const head = headOf(question, result)
      if (head === null) return
      looks += 1
      if (looks % COMPARE_EVERY !== 0) return
      for (const index of members.keys()) {
        if (index === current) continue
        ask(index, { method: 'eth_blockNumber' }).then(
          (block) => {
            if (typeof block === 'string' && BigInt(block) > head + LAG_BLOCKS) current = index
          },
          () => {},
        )
      }
    },
  }
}

function headOf({ method, params }: Question, result: unknown): bigint | null {
  const isLatest = method === 'eth_getBlockByNumber' && Array.isArray(params) && params[0] === 'latest'
  if (!isLatest || typeof result !== 'object' || result === null || !('number' in result)) return null
  return typeof result.number === 'string' ? BigInt(result.number) : null
}
