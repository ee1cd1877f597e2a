import { randomBytes } from 'node:crypto'
import {
  deriveProviderId,
  escrowDomain,
  type Hex,
  type Id,
  makeJws,
  manifestHash,
  micros,
  offer as offerSchema,
  type PublishedTool,
  registerProvider,
  registrationTypedData,
  toHex,
} from '@orien/protocol'
import { Orien, publicKeyOfSeed, signWithSeed } from '@orien/sdk'
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { z } from 'zod'
import type { Stack } from './stack.ts'

/** A registered provider with all of its keys in the test's hand. */
export type ScriptedOwner = {
  providerId: Id<'provider'>
  payout: Hex
  account: PrivateKeyAccount
  operatorKey: Hex
  nodeKey: string
  sign: (data: Uint8Array) => Uint8Array
  /** A current offer, a JWS. */
  offer: string
}

const word = () => toHex(new Uint8Array(randomBytes(32)))
const unixSeconds = () => Math.floor(Date.now() / 1000)

/** Makes keys and registers, with the relayed permission for the operator key. */
export async function registerScripted(
  stack: Stack,
  tools: readonly PublishedTool[],
  rateMicrosPerMinute: bigint,
): Promise<ScriptedOwner> {
  const owner = privateKeyToAccount(generatePrivateKey())
  const operatorKey = generatePrivateKey()
  const seed = new Uint8Array(randomBytes(32))
  const payout = owner.address.toLowerCase() as Hex
  const operator = privateKeyToAccount(operatorKey).address.toLowerCase() as Hex
  const nodeKey = publicKeyOfSeed(seed)
  const salt = word()
  const providerId = deriveProviderId(payout, salt)
  const registration = {
    providerId,
    name: 'scripted',
    payout,
    salt,
    nodeKey,
    operator,
    issuedAt: unixSeconds(),
  }
  const deadline = unixSeconds() + 3_600
  const permission = { owner: payout, operator, allowed: true, nonce: 7n, deadline: BigInt(deadline) }
  await new Orien({ baseUrl: stack.url }).call(registerProvider, {
    body: {
      registration,
      signature: await owner.signTypedData(registrationTypedData(registration)),
      rateMicrosPerMinute: micros(rateMicrosPerMinute),
      tools: [...tools],
      operatorAuthorization: {
        nonce: '7',
        deadline,
        signature: await owner.signTypedData({
          domain: escrowDomain(stack.chain.chainId, stack.chain.escrow),
          types: { SetOperator: SET_OPERATOR },
          primaryType: 'SetOperator',
          message: permission,
        }),
      },
    },
  })
  const sign = signWithSeed(seed)
  const offer = offerOf(stack, { providerId, nodeKey, payout, tools, rateMicrosPerMinute, sign })
  return { providerId, payout, account: owner, operatorKey, nodeKey, sign, offer }
}

const SET_OPERATOR = [
  { name: 'owner', type: 'address' },
  { name: 'operator', type: 'address' },
  { name: 'allowed', type: 'bool' },
  { name: 'nonce', type: 'uint256' },
  { name: 'deadline', type: 'uint256' },
] as const

type Promised = Pick<ScriptedOwner, 'providerId' | 'nodeKey' | 'payout' | 'sign'> & {
  tools: readonly PublishedTool[]
  rateMicrosPerMinute: bigint
}

function offerOf(
  stack: Stack,
  { providerId, nodeKey, payout, tools, rateMicrosPerMinute, sign }: Promised,
): string {
  const value = z.encode(offerSchema, {
    v: 1,
    providerId,
    nodeKey,
    payout,
    chainId: stack.chain.chainId,
    escrow: stack.chain.escrow.toLowerCase() as Hex,
    token: stack.chain.usdc.toLowerCase() as Hex,
    rateMicrosPerMinute: micros(rateMicrosPerMinute),
    split: { providerBps: 9000, platformBps: 700, reserveBps: 300 },
    tools: tools.map((tool) => ({
      id: tool.id,
      manifestHash: manifestHash(tool),
      timeMs: tool.limits.timeMs,
    })),
    isolation: 'namespaces',
    validFrom: new Date(Date.now() - 60_000).toISOString(),
    validUntil: new Date(Date.now() + 86_400_000).toISOString(),
  })
  return makeJws('orien-offer+jws', nodeKey, value, sign)
}
