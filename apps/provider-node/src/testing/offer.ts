import { makeId, sha256Hex } from '@orien/protocol'
import { publicKeyOfSeed, signWithSeed } from '@orien/sdk'
import { type OfferTerms, type SignedOffer, signOffer } from '../identity/offer.ts'
import { CHAIN, RATE } from './node.ts'

const SEED = new Uint8Array(32).fill(5)

/** The key of the node that makes the offers of tests. */
export const KEY = { publicKey: publicKeyOfSeed(SEED), sign: signWithSeed(SEED) }

export const TERMS: OfferTerms = {
  v: 1,
  providerId: makeId('provider', 0, new Uint8Array(10)),
  nodeKey: KEY.publicKey,
  payout: `0x${'aa'.repeat(20)}`,
  ...CHAIN,
  rateMicrosPerMinute: RATE,
  split: { providerBps: 9000, platformBps: 700, reserveBps: 300 },
  tools: [{ id: 'echo', manifestHash: sha256Hex('echo'), timeMs: 20_000 }],
  isolation: 'none',
}

/** A signed offer that is good through 2026. */
export function offerFor(given: Partial<OfferTerms & { validUntil: string }> = {}): SignedOffer {
  const validity = { validFrom: '2026-01-01T00:00:00.000Z', validUntil: '2027-01-01T00:00:00.000Z' }
  return signOffer({ ...TERMS, ...validity, ...given }, KEY)
}
