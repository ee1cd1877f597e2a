import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import {
  costMicros,
  deriveProviderId,
  durationMs,
  type Hex,
  makeId,
  makeJws,
  micros,
  type Offer,
  offer as offerSchema,
  type ProviderView,
  providerView,
  type Receipt,
  type Registration,
  registrationTypedData,
  signReceipt,
  UNKNOWN_REPUTATION,
} from '@orien/protocol'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'

export const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex')
export const wordOf = (name: string): Hex => `0x${hashOf(name)}`
/** A wallet that follows from a name. */
export const walletOf = (name: string): PrivateKeyAccount => privateKeyToAccount(wordOf(name))
export const lower = (hex: string): Hex => hex.toLowerCase() as Hex

export const CHAIN_ID = 31_337
export const ESCROW = lower(walletOf('escrow').address)
export const TOKEN = lower(walletOf('token').address)
export const RATE = micros(600_000n)
export const TOOL = { id: 'render_scene', manifestHash: hashOf('render_scene'), timeMs: 60_000 }
const INSTANT = '2026-11-23T04:00:00.000Z'

/** A provider of which only the signatures are real. */
export type ProviderStandIn = {
  id: ProviderView['id']
  payout: Hex
  nodeKey: string
  offerText: string
  view: ProviderView
  sign: (data: Uint8Array) => Uint8Array
  /** Signs a receipt; `change` makes it a wrong one. */
  receipt: (base: ReceiptBase, change?: Partial<Receipt>) => string
}

/** What a receipt has to say. */
type ReceiptBase = {
  executionId: Receipt['executionId']
  sessionId: Receipt['sessionId']
  channelId: Hex
  sequence: number
  previous: string
  cumulativeBefore: bigint
  effectiveMs: number
  holdMicros: Receipt['holdMicros']
}

function makeReceipt(provider: Pick<ProviderStandIn, 'id'>, base: ReceiptBase): Receipt {
  const cost = costMicros(RATE, durationMs(base.effectiveMs))
  const { executionId, sessionId, channelId, sequence, previous, effectiveMs, holdMicros } = base
  return {
    v: 1,
    executionId,
    sessionId,
    providerId: provider.id,
    channelId,
    sequence,
    previous,
    grant: sequence,
    tool: TOOL.id,
    manifestHash: TOOL.manifestHash,
    argumentsHash: hashOf('arguments'),
    inputs: [],
    outputs: [],
    logHash: hashOf(''),
    logBytes: 0,
    isolation: 'namespaces',
    startedAt: INSTANT,
    endedAt: INSTANT,
    effectiveMs,
    cpuMs: effectiveMs,
    maxRssBytes: 1_000_000,
    sources: { wall: 'helper', cpu: 'helper', memory: 'helper' },
    exitCode: 0,
    status: 'completed',
    rateMicrosPerMinute: RATE,
    holdMicros,
    deadlineMs: TOOL.timeMs,
    costMicros: cost,
    cumulativeMicros: micros(base.cumulativeBefore + cost),
  }
}

function makeOffer(of: Pick<Registration, 'providerId' | 'nodeKey' | 'payout'>): Offer {
  return {
    v: 1,
    providerId: of.providerId,
    nodeKey: of.nodeKey,
    payout: of.payout,
    chainId: CHAIN_ID,
    escrow: ESCROW,
    token: TOKEN,
    rateMicrosPerMinute: RATE,
    split: { providerBps: 9000, platformBps: 700, reserveBps: 300 },
    tools: [TOOL],
    isolation: 'namespaces',
    validFrom: INSTANT,
    validUntil: '2026-11-24T04:00:00.000Z',
  }
}

async function signRegistration(owner: PrivateKeyAccount, name: string, nodeKey: string) {
  const payout = lower(owner.address)
  const salt = wordOf(`${name} salt`)
  const operator = lower(walletOf(`${name} operator`).address)
  const providerId = deriveProviderId(payout, salt)
  const registration: Registration = {
    providerId,
    name,
    payout,
    salt,
    nodeKey,
    operator,
    issuedAt: 1_764_000_000,
  }
  const typed = registrationTypedData(registration)
  const signature = await owner.signTypedData({ ...typed, message: typed.message as Record<string, unknown> })
  return { registration, signature: lower(signature) }
}

export async function makeProvider(name: string): Promise<ProviderStandIn> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const nodeKey = String(publicKey.export({ format: 'jwk' }).x)
  const signBytes = (data: Uint8Array) => new Uint8Array(sign(null, data, privateKey))
  const signed = await signRegistration(walletOf(`${name} owner`), name, nodeKey)
  const { providerId: id, payout, operator } = signed.registration
  const offerText = makeJws(
    'orien-offer+jws',
    nodeKey,
    offerSchema.encode(makeOffer(signed.registration)),
    signBytes,
  )
  const view = providerView.decode({
    id,
    name,
    status: 'online',
    payout,
    operator,
    nodeKey,
    rateMicrosPerMinute: RATE.toString(),
    tools: [],
    isolation: 'namespaces',
    registration: signed,
    offer: offerText,
    reputation: { ...UNKNOWN_REPUTATION, feesMicros: '0', refundedMicros: '0', weightMicros: '0' },
    registeredAt: INSTANT,
  })
  return {
    id,
    payout,
    nodeKey,
    offerText,
    view,
    sign: signBytes,
    receipt: (base, change = {}) =>
      signReceipt({ ...makeReceipt({ id }, base), ...change }, nodeKey, signBytes),
  }
}

let made = 0
/** An id that no other has. */
export function newId<K extends 'session' | 'execution' | 'agent'>(kind: K) {
  made += 1
  return makeId(kind, 1_764_000_000_000 + made, new Uint8Array(10))
}
