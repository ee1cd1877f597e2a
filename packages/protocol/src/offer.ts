import { z } from 'zod'
import { address, ed25519Key, sha256Schema } from './bytes.ts'
import { providerId } from './ids.ts'
import { toolId } from './manifest.ts'
import { rateMicrosPerMinute } from './meter.ts'
import { instant } from './time.ts'

/** How strongly a node isolates tools; proved by attacking itself at start. */
export const isolationClass = z.enum(['namespaces+cgroups', 'namespaces', 'none'])
/** See {@link isolationClass}. */
export type IsolationClass = z.output<typeof isolationClass>

/**
 * What a provider promises, signed by its node key: price, split, tools by hash, isolation. A session pins one offer,
 * and the receipt chain of the session starts at its hash.
 */
export const offer = z.strictObject({
  v: z.literal(1),
  providerId,
  nodeKey: ed25519Key,
  payout: address,
  chainId: z.int().positive(),
  escrow: address,
  token: address,
  rateMicrosPerMinute,
  split: z.strictObject({
    providerBps: z.literal(9000),
    platformBps: z.literal(700),
    reserveBps: z.literal(300),
  }),
  tools: z
    .array(z.strictObject({ id: toolId, manifestHash: sha256Schema, timeMs: z.int().positive() }))
    .min(1)
    .max(100),
  isolation: isolationClass,
  validFrom: instant,
  validUntil: instant,
})
/** See {@link offer}. */
export type Offer = z.output<typeof offer>
