import {
  canonicalJson,
  decodeJws,
  type IsolationClass,
  jwsHash,
  makeJws,
  manifestHash,
  type Offer,
  offer as offerSchema,
  publish,
} from '@orien/protocol'
import type { ToolSet } from '../manifest/tools.ts'
import type { NodeKey } from './keys.ts'
import type { Provider } from './providerFile.ts'

/** An offer that this node has signed. */
export type SignedOffer = { offer: Offer; jws: string; hash: string }

/** Everything in an offer but its validity. */
export type OfferTerms = Omit<Offer, 'validFrom' | 'validUntil'>

/** What the node promises now. */
export function offerTerms(input: {
  provider: Provider
  nodeKey: string
  tools: ToolSet
  isolation: IsolationClass
}): OfferTerms {
  const { registration, chain, rateMicrosPerMinute } = input.provider
  return {
    v: 1,
    providerId: registration.providerId,
    nodeKey: input.nodeKey,
    payout: registration.payout,
    ...chain,
    rateMicrosPerMinute,
    split: { providerBps: 9000, platformBps: 700, reserveBps: 300 },
    tools: [...input.tools.values()].map((tool) => ({
      id: tool.manifest.id,
      manifestHash: manifestHash(publish(tool.manifest)),
      timeMs: tool.manifest.limits.timeMs,
    })),
    isolation: input.isolation,
  }
}

export function signOffer(offer: Offer, key: NodeKey): SignedOffer {
  const jws = makeJws('orien-offer+jws', key.publicKey, offerSchema.encode(offer), key.sign)
  return { offer, jws, hash: jwsHash(jws) }
}

/** Reads back an offer of our own journal; null when it is not one. */
export function readOffer(jws: string): SignedOffer | null {
  const decoded = decodeJws('orien-offer+jws', jws)
  const parsed = offerSchema.safeDecode(decoded?.payload as Parameters<typeof offerSchema.safeDecode>[0])
  return parsed.success ? { offer: parsed.data, jws, hash: jwsHash(jws) } : null
}

/** Whether an earlier offer still says what the node promises now, and for long enough to open sessions on it. */
export function isCurrent(earlier: Offer, terms: OfferTerms, nowMs: number): boolean {
  const { validFrom, validUntil, ...promised } = earlier
  const from = Date.parse(validFrom)
  const until = Date.parse(validUntil)
  if (nowMs < from || nowMs >= from + (until - from) / 2) return false
  const form = (value: OfferTerms) => canonicalJson(offerSchema.encode({ ...value, validFrom, validUntil }))
  return form(promised) === form(terms)
}
