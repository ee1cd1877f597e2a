import {
  type BatchKind,
  batchDigest,
  channelId,
  depositDigest,
  micros,
  openNonce,
  voucherDigest,
} from '@orien/protocol'
import type { Hex, PrivateKeyAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { randomWord } from '../../random.ts'
import { encodeTryAll, type SignedBatch } from '../encodeBatch.ts'
import { encodeOpenWithAuthorization } from '../encodeDeposit.ts'
import type { TestChannel } from './channel.ts'
import type { World } from './world.ts'

/** What is asked for: channels spread evenly over providers. */
export type FleetPlan = {
  channels: number
  providers: readonly PrivateKeyAccount[]
  depositMicros?: bigint
  /** What each payer keeps, for each of its channels; without any, a refund costs 17,100 gas more. */
  restMicros?: bigint
  /** Each channel its own by default. */
  payers?: readonly PrivateKeyAccount[]
}

const newKey = () => privateKeyToAccount(generatePrivateKey())
/** Calls in one transaction: about ten million gas. */
const opensAtOnce = 60

/** Makes keys that need no gas. */
export const newKeys = (count: number): PrivateKeyAccount[] => Array.from({ length: count }, newKey)

/** Channels whose deposits are signed but not relayed yet, each with the call that opens it. */
export async function prepareFleet(world: World, plan: FleetPlan) {
  const { usdc, escrow, chainId, usdcDomain } = world.chain
  const { channels, providers, depositMicros = 1_000_000n } = plan
  const validBefore = (await world.now()) + 100_000
  const prepared = Array.from({ length: channels }, async (_, index) => {
    const payee = providers[index % providers.length] ?? newKey()
    const payer = plan.payers?.[index % plan.payers.length] ?? newKey()
    const session = newKey()
    const salt = randomWord()
    const parties = { payer: payer.address, payee: payee.address, authorizedSigner: session.address }
    const terms = { chainId, escrow, token: usdc, salt, ...parties }
    const window = { validAfter: 0, validBefore, nonce: openNonce(terms) }
    const money = { valueMicros: micros(depositMicros), ...window }
    const domain = { token: usdc, tokenName: usdcDomain.name, tokenVersion: usdcDomain.version, chainId }
    const hash = depositDigest({ ...domain, from: payer.address, escrow, ...money })
    const call = encodeOpenWithAuthorization(terms, { ...money, signature: await payer.sign({ hash }) })
    const channel: TestChannel = { id: channelId(terms), payer, payee, session, salt, depositMicros }
    return { channel, call }
  })
  return Promise.all(prepared)
}

/** Opens them, many in one transaction; gives the gas of all of it. */
export async function openFleet(world: World, relayer: PrivateKeyAccount, plan: FleetPlan) {
  const prepared = await prepareFleet(world, plan)
  const payers = prepared.map(({ channel }) => channel.payer.address)
  await world.fillUp(payers, (plan.depositMicros ?? 1_000_000n) + (plan.restMicros ?? 0n))
  let gasUsed = 0n
  for (let start = 0; start < prepared.length; start += opensAtOnce) {
    const calls = prepared.slice(start, start + opensAtOnce).map(({ call }) => call)
    const mined = await world.send(
      relayer,
      world.chain.escrow,
      encodeTryAll(world.chain.escrow, calls, 250_000n).data,
    )
    if (mined.status !== 'ok') throw new TypeError(`the fleet does not open: ${mined.error}`)
    gasUsed += mined.gasUsed
  }
  return { channels: prepared.map(({ channel }) => channel), gasUsed }
}

/** A provider's batch of claims, signed by its payee or whoever is given. */
export async function signBatch(
  world: World,
  kind: BatchKind,
  channels: readonly TestChannel[],
  claimMicros: bigint,
  voucherMicros = claimMicros,
  signer?: PrivateKeyAccount,
): Promise<SignedBatch> {
  const { chain } = world
  const payee = channels[0]?.payee ?? newKey()
  const claims = channels.map(({ id }) => ({ channelId: id, claimMicros: micros(claimMicros) }))
  const terms = { payee: payee.address, claims, deadline: (await world.now()) + 3_600 }
  const signature = await (signer ?? payee).sign({ hash: batchDigest(chain, kind, terms) })
  const vouchers = channels.map(async ({ id, session }) => {
    const cumulativeMicros = micros(voucherMicros)
    return {
      cumulativeMicros,
      signature: await session.sign({ hash: voucherDigest(chain, id, cumulativeMicros) }),
    }
  })
  return { terms, signature, vouchers: await Promise.all(vouchers) }
}

/** Channels by provider, in the order in which providers first appear. */
export function byProvider(channels: readonly TestChannel[]): TestChannel[][] {
  const groups = new Map<Hex, TestChannel[]>()
  for (const channel of channels) {
    groups.set(channel.payee.address, [...(groups.get(channel.payee.address) ?? []), channel])
  }
  return [...groups.values()]
}
