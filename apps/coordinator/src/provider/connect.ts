import {
  coordinatorName,
  decodeJws,
  type FromNode,
  isSignedBy,
  jwsHash,
  manifestHash,
  nodeProof,
  type Offer,
  OrienError,
  offer as offerSchema,
  type PublishedTool,
} from '@orien/protocol'
import type { z } from 'zod'
import type { Context } from '../context.ts'
import { verifyEd25519 } from '../keys.ts'
import { recordBeat } from '../reputation/store.ts'
import { type ProviderRow, selectProvider, updateProvider } from './store.ts'

/** What a node was asked: to sign this, for a coordinator that it reached by this name. */
export type Challenge = {
  nonce: string
  /** The `Host` of its request, when it had one. */
  host?: string | undefined
}

type Hello = Extract<FromNode, { type: 'hello' }>

/**
 * Whose node it is: its proof is over our nonce and by the registered key.
 *
 * @throws OrienError `not_found`, `signature_invalid`
 */
export async function identifyNode(
  ctx: Context,
  { nonce, host }: Challenge,
  hello: Hello,
): Promise<ProviderRow> {
  const decoded = decodeJws('orien-node+jws', hello.proof)
  const proof = nodeProof.safeParse(decoded?.payload)
  if (!decoded || !proof.success) throw new OrienError('signature_invalid', 'The proof is malformed')
  const provider = await selectProvider(ctx.db.read, proof.data.providerId)
  if (!provider || provider.deletedAt) throw new OrienError('not_found', 'This provider is not registered')
  if (proof.data.nonce !== nonce || !isSignedBy(decoded, provider.nodeKey, verifyEd25519)) {
    throw new OrienError(
      'signature_invalid',
      'The proof is not by the registered node key over this connection’s nonce',
    )
  }
  requireOwnName(ctx, host, proof.data.coordinator)
  return provider
}

/** A proof for another name was made for somebody who stands between us and the node. */
function requireOwnName({ config }: Context, host: string | undefined, coordinator: string): void {
  const named = config.publicHosts ?? (host === undefined ? [] : [host])
  const own = [config.baseUrl, ...named.map((name) => `http://${name}`)]
  if (own.some((url) => URL.canParse(url) && coordinatorName(url) === coordinator)) return
  const detail = `The proof is for a coordinator called ${coordinator}; if this is one, name it in ORIEN_PUBLIC_HOSTS`
  throw new OrienError('signature_invalid', detail)
}

/**
 * Takes over the offer of a node that is let in: it is for this chain, these tools and this price.
 *
 * @throws OrienError `signature_invalid`, `validation_failed`
 */
export async function takeOffer(ctx: Context, provider: ProviderRow, hello: Hello): Promise<void> {
  const offer = readOffer(ctx, provider, hello.offer)
  tellDowngrade(ctx, provider, offer)
  await ctx.db.write(({ tx }) =>
    updateProvider(tx, provider.id, {
      offer: hello.offer,
      offerHash: jwsHash(hello.offer),
      isolation: offer.isolation,
      lastSeenAt: ctx.clock.now(),
    }),
  )
}

const CLASSES = ['none', 'namespaces', 'namespaces+cgroups']

/** Sessions are offered under the weaker class from now on, so whoever watches the market has to see it. */
function tellDowngrade(ctx: Context, provider: ProviderRow, { isolation }: Offer): void {
  if (CLASSES.indexOf(isolation) >= CLASSES.indexOf(provider.isolation)) return
  const change = { from: provider.isolation, to: isolation }
  ctx.log.error({
    event: 'node.isolation_downgraded',
    code: 'isolation_downgraded',
    providerId: provider.id,
    ...change,
  })
}

function readOffer(ctx: Context, provider: ProviderRow, jws: string): Offer {
  const decoded = decodeJws('orien-offer+jws', jws)
  const parsed = offerSchema.safeDecode(decoded?.payload as z.input<typeof offerSchema>)
  if (!decoded || !parsed.success || !isSignedBy(decoded, provider.nodeKey, verifyEd25519)) {
    throw new OrienError('signature_invalid', 'The offer is not one by the registered node key')
  }
  const { data } = parsed
  const complaints = [
    data.providerId !== provider.id && 'another provider',
    data.payout !== provider.payout && 'another payout address',
    data.nodeKey !== provider.nodeKey && 'another node key',
    data.rateMicrosPerMinute !== provider.rateMicrosPerMinute && 'another rate than registered',
    (data.chainId !== ctx.chain.chainId ||
      data.escrow !== ctx.chain.escrow ||
      data.token !== ctx.chain.token) &&
      'another chain or contract',
    !sameTools(provider.tools as PublishedTool[], data) && 'other tools than registered',
    Date.parse(data.validUntil) <= ctx.clock.now().getTime() && 'a time that is over',
  ].filter((complaint) => typeof complaint === 'string')
  if (complaints.length > 0)
    throw new OrienError('validation_failed', `The offer is for ${complaints.join(', ')}`)
  return data
}

function sameTools(registered: readonly PublishedTool[], offer: Offer): boolean {
  const hashes = new Map(registered.map((tool) => [tool.id, manifestHash(tool)]))
  return (
    offer.tools.length === hashes.size &&
    offer.tools.every((tool) => hashes.get(tool.id) === tool.manifestHash)
  )
}

/** Remembers that a node was heard of. */
export async function touchProvider(ctx: Context, providerId: string): Promise<void> {
  await recordBeat(ctx.db.pool, providerId)
}
