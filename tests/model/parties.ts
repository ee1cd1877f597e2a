import type { createPool } from '@orien/coordinator'
import {
  batchDigest,
  type ChannelTerms,
  type ClosingClaim,
  channelId,
  type DepositAuthorization,
  depositDigest,
  type Hex,
  type Id,
  makeId,
  manifestHash,
  micros,
  openNonce,
  type PublishedTool,
  sessionSalt,
  sha256Hex,
  toHex,
  topUpNonce,
  type Voucher,
  voucherDigest,
  ZERO,
} from '@orien/protocol'
import { addressOfKey, publicKeyOfSeed, signDigest, signWithSeed } from '@orien/sdk'
import type { Caller, ChainTerms } from '../../apps/coordinator/src/context.ts'
import { type SignedOffer, signOffer } from '../../apps/provider-node/src/identity/offer.ts'

/** Where the model's channels would be; no chain is asked in these tests. */
export const CHAIN: ChainTerms = {
  chainId: 31_337,
  escrow: `0x${'e5'.repeat(20)}`,
  token: `0x${'05'.repeat(20)}`,
  tokenName: 'USDC',
  tokenVersion: '2',
  closeGraceMs: 900_000,
  rpcUrl: 'http://127.0.0.1:1',
}

const keyOf = (name: string) => sha256Hex(`model ${name}`)
const secretOf = (name: string) => `0x${keyOf(name)}` as Hex
const idBytes = (name: string) => Uint8Array.from(Buffer.from(keyOf(name).slice(0, 20), 'hex'))

/** An owner's keys and what its node promises. */
export type TestProvider = {
  id: Id<'provider'>
  rate: bigint
  tools: readonly PublishedTool[]
  offer: SignedOffer
  nodeKey: string
  sign: (data: Uint8Array) => Uint8Array
  operatorKey: Hex
}

export type TestAgent = { caller: Caller; walletKey: Hex; sessionKey: Hex }

const limits = { memoryBytes: 1, processes: 1, diskBytes: 1, outputBytes: 1_024 }

function toolOf(id: string, timeMs: number): PublishedTool {
  const args = { properties: { note: { type: 'string' as const, maxLength: 20 } }, required: [] }
  return { id, description: id, arguments: args, limits: { ...limits, timeMs }, network: 'none', outputs: [] }
}

/** The shortest there may be, a second that divides nothing, and a minute. */
export const TOOLS = [toolOf('blink', 100), toolOf('second', 1_001), toolOf('minute', 60_000)] as const

/**
 * Prices at which rounding bites: one micro-USDC a minute, one that divides nothing, one at which a `second` costs a
 * sixty-thousandth of a micro-USDC more than a whole one, ten a millisecond, and the highest that there is.
 */
export const RATES = [1n, 7n, 619_001n, 600_000n, 1_000_000_000_000n] as const

export function providerAt(rate: bigint): TestProvider {
  const seed = Uint8Array.from(Buffer.from(keyOf(`node ${rate}`), 'hex'))
  const id = makeId('provider', 0, idBytes(`provider ${rate}`))
  const nodeKey = publicKeyOfSeed(seed)
  const sign = signWithSeed(seed)
  const offer = signOffer(termsAt(rate, id, nodeKey), { publicKey: nodeKey, sign })
  return { id, rate, tools: TOOLS, offer, nodeKey, sign, operatorKey: secretOf(`operator ${rate}`) }
}

/** What its node promises, for longer than any history lasts. */
function termsAt(rate: bigint, providerId: Id<'provider'>, nodeKey: string): SignedOffer['offer'] {
  const { chainId, escrow, token } = CHAIN
  return {
    v: 1,
    ...{ providerId, nodeKey, payout: payoutAt(rate), chainId, escrow, token },
    rateMicrosPerMinute: micros(rate),
    split: { providerBps: 9000, platformBps: 700, reserveBps: 300 },
    tools: TOOLS.map((tool) => ({
      id: tool.id,
      manifestHash: manifestHash(tool),
      timeMs: tool.limits.timeMs,
    })),
    isolation: 'namespaces',
    validFrom: '2026-01-01T00:00:00.000Z',
    validUntil: '2126-01-01T00:00:00.000Z',
  }
}

export function agentNamed(name: string): TestAgent {
  const walletKey = secretOf(`wallet ${name}`)
  const agentId = makeId('agent', 0, idBytes(`agent ${name}`))
  const wallet = addressOfKey(walletKey)
  const caller = { agentId, wallet, credentialId: 'none', kind: 'token', scopes: ['read', 'spend'] } as const
  return { caller, walletKey, sessionKey: secretOf(`session key ${name}`) }
}

const payoutAt = (rate: bigint) => addressOfKey(secretOf(`payout ${rate}`))

export async function insertParties(
  pool: ReturnType<typeof createPool>,
  providers: readonly TestProvider[],
  agents: readonly TestAgent[],
): Promise<void> {
  for (const { caller } of agents)
    await pool.query('insert into agents (id, wallet) values ($1, $2)', [caller.agentId, caller.wallet])
  for (const provider of providers) {
    const operator = addressOfKey(provider.operatorKey)
    const registration = { registration: { operator, payout: payoutAt(provider.rate) }, signature: '0x' }
    await pool.query(
      `insert into providers (id, name, payout, operator, node_key, rate_micros_per_minute, tools, isolation,
         registration, registration_issued_at, offer, offer_hash, is_operator_authorised)
       values ($1, 'model', $2, $3, $4, $5, $6, 'namespaces', $7, 0, $8, $9, true)`,
      [
        provider.id,
        payoutAt(provider.rate),
        operator,
        provider.nodeKey,
        provider.rate,
        JSON.stringify(provider.tools),
        JSON.stringify(registration),
        provider.offer.jws,
        provider.offer.hash,
      ],
    )
  }
}

export function channelTermsOf(sessionId: string, agent: TestAgent, provider: TestProvider): ChannelTerms {
  const { chainId, escrow, token } = CHAIN
  const salt = sessionSalt(sessionId)
  const authorizedSigner = addressOfKey(agent.sessionKey)
  return {
    chainId,
    escrow,
    token,
    payer: agent.caller.wallet,
    payee: payoutAt(provider.rate),
    salt,
    authorizedSigner,
  }
}

const signatures = new Map<string, Hex>()

/** Signing is most of the cost of a step, and the same amounts come again and again. */
function signOnce(key: Hex, digest: Hex): Hex {
  const known = signatures.get(key + digest)
  if (known) return known
  const signature = signDigest(key, digest)
  signatures.set(key + digest, signature)
  return signature
}

export function signVoucher(terms: ChannelTerms, agent: TestAgent, amountMicros: bigint): Voucher {
  const cumulativeMicros = micros(amountMicros)
  const digest = voucherDigest(terms, channelId(terms), cumulativeMicros)
  return { cumulativeMicros, signature: signOnce(agent.sessionKey, digest) }
}

function signDeposit(agent: TestAgent, amountMicros: bigint, nonce: Hex): DepositAuthorization {
  const times = { validAfter: 0, validBefore: 4_000_000_000 }
  const deposit = { valueMicros: micros(amountMicros), ...times, nonce }
  const { chainId, token, tokenName, tokenVersion, escrow } = CHAIN
  const domain = { chainId, token, tokenName, tokenVersion, escrow }
  const digest = depositDigest({ ...domain, from: agent.caller.wallet, ...deposit })
  return { ...deposit, signature: signOnce(agent.walletKey, digest) }
}

/** What an agent sends to start a session. */
export function startOf(terms: ChannelTerms, agent: TestAgent, budgetMicros: bigint) {
  return {
    action: 'start' as const,
    payer: terms.payer,
    authorizedSigner: terms.authorizedSigner,
    deposit: signDeposit(agent, budgetMicros, openNonce(terms)),
    voucher: signVoucher(terms, agent, ZERO),
  }
}

/** What an agent sends to top a session up; the salt names it. */
export function topUpOf(terms: ChannelTerms, agent: TestAgent, amountMicros: bigint, salt: number) {
  const additionalMicros = micros(amountMicros)
  const topUpSalt = toHex(new Uint8Array(32).fill(salt))
  const nonce = topUpNonce(channelId(terms), additionalMicros, terms.payer, topUpSalt)
  return { additionalMicros, topUpSalt, deposit: signDeposit(agent, amountMicros, nonce) }
}

/** The node's signature under the claims of some sessions. */
export function signClaimsFor(
  provider: TestProvider,
  { claims, deadline }: { claims: readonly Omit<ClosingClaim, 'sessionId'>[]; deadline: number },
): Hex {
  const { chainId, escrow, payout } = provider.offer.offer
  const entries = claims.map(({ channel, claimMicros }) => ({ channelId: channelId(channel), claimMicros }))
  const terms = { payee: payout, claims: entries, deadline }
  return signDigest(provider.operatorKey, batchDigest({ chainId, escrow }, 'CloseBatch', terms))
}

export const MANIFEST_HASHES = new Map(TOOLS.map((tool) => [tool.id, manifestHash(tool)]))
