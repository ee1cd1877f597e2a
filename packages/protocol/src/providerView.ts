import { z } from 'zod'
import { address, ed25519Key, sha256Schema } from './bytes.ts'
import { providerId } from './ids.ts'
import { publishedTool } from './manifest.ts'
import { usdcMicros } from './money.ts'
import { isolationClass } from './offer.ts'
import { signedRegistration } from './registration.ts'
import { reputation } from './reputation.ts'
import { instant } from './time.ts'

/** A tool in the marketplace. */
export const toolView = publishedTool.extend({
  manifestHash: sha256Schema,
  /** JSON Schema of the arguments (draft 2020-12). */
  inputSchema: z.record(z.string(), z.unknown()),
})

/** Whether an agent can rent a provider now. */
export const providerStatus = z.enum(['online', 'draining', 'killed', 'offline', 'disabled'])
/** See {@link providerStatus}. */
export type ProviderStatus = z.output<typeof providerStatus>

/** How busy a node is. */
export const providerLoad = z.strictObject({
  running: z.int().min(0),
  queued: z.int().min(0),
  slots: z.int().min(0).optional(),
  /** How far the coordinator's clock is ahead of the node's, milliseconds. */
  clockSkewMs: z.int().optional(),
})
/** See {@link providerLoad}. */
export type ProviderLoad = z.output<typeof providerLoad>

/** A provider in the marketplace. */
export const providerView = z.strictObject({
  id: providerId,
  name: z.string(),
  /** `draining` and `killed`: connected, and its owner lets it take no new session, or no work at all. */
  status: providerStatus,
  /** As the node told it last; absent while it is not connected. */
  load: providerLoad.optional(),
  payout: address,
  operator: address,
  nodeKey: ed25519Key,
  rateMicrosPerMinute: usdcMicros,
  tools: z.array(toolView),
  isolation: isolationClass,
  registration: signedRegistration,
  /** The current offer, a JWS signed by the node; absent until the node has connected once. */
  offer: z.string().optional(),
  offerHash: sha256Schema.optional(),
  reputation,
  registeredAt: instant,
  lastSeenAt: instant.optional(),
})
/** See {@link providerView}. */
export type ProviderView = z.output<typeof providerView>
