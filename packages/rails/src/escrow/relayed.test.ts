import {
  claimDigest,
  channelId as computeChannelId,
  depositDigest,
  micros,
  openNonce,
  requestCloseDigest,
  setOperatorDigest,
  topUpNonce,
  voucherDigest,
} from '@orien/protocol'
import type { Address, Hex, PrivateKeyAccount } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chains } from '../chain/chains.ts'
import { randomWord } from '../random.ts'
import { broadcast } from '../transactions/broadcast.ts'
import { readFees } from '../transactions/readFees.ts'
import { readNonces } from '../transactions/readNonces.ts'
import { readTransaction } from '../transactions/readTransaction.ts'
import { signerFromPrivateKey } from '../transactions/signer.ts'
import type { ContractCall } from './contractCall.ts'
import {
  encodeClaimAndCloseWithAuthorization,
  encodeClaimWithAuthorization,
  encodeForfeitWithAuthorization,
} from './encodeClaim.ts'
import { encodeOpenWithAuthorization, encodeTopUpWithAuthorization } from './encodeDeposit.ts'
import { encodeDeliverCredit, encodeRequestCloseWithAuthorization, encodeWithdraw } from './encodeExit.ts'
import { encodeSetOperatorWithAuthorization } from './encodeSetOperator.ts'
import { readChannel } from './readChannel.ts'
import { readOperator } from './readOperator.ts'
import { readSettlement } from './readSettlement.ts'
import { simulateCall } from './simulateCall.ts'
import { randomNonce } from './testing/channel.ts'
import { openWorld, type World } from './testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const deadline = 2 ** 40
const sign = (key: PrivateKeyAccount, hash: Hex) => key.sign({ hash })

/** As the coordinator does it: simulate, sign with the relayer's key, broadcast, look it up. */
async function relay(call: ContractCall): Promise<string> {
  const { client, chain } = world
  const relayer = signerFromPrivateKey(chain.relayerPrivateKey)
  const simulation = await simulateCall(client, call, relayer.address)
  if (simulation.status === 'reverted') return simulation.error
  const [nonces, fees] = [await readNonces(client, relayer.address), await readFees(client, chains.local)]
  if (simulation.status !== 'ok' || nonces.status !== 'read' || fees.status !== 'read') return 'unreachable'
  const { maxFeePerGas, maxPriorityFeePerGas } = fees
  const plan = { ...call, chainId: 31337, nonce: nonces.mined, gas: simulation.gas }
  const { raw, hash } = await relayer.sign({ ...plan, maxFeePerGas, maxPriorityFeePerGas })
  await broadcast(client, raw)
  await world.mined(hash)
  const state = await readTransaction(client, hash)
  return state.status === 'mined' ? state.outcome : state.status
}

/** Who takes part; none of them has native coin. */
async function parties(depositMicros = 1_000_000n) {
  const { chain } = world
  const [payer, payee, session, operator] = [await world.actor(), ...(await threeKeys())]
  await chain.mint(payer.address, depositMicros)
  const terms = {
    ...{ chainId: chain.chainId, escrow: chain.escrow, token: chain.usdc, salt: randomWord() },
    ...{ payer: payer.address, payee: payee.address, authorizedSigner: session.address },
  }
  return { payer, payee, session, operator, terms, id: computeChannelId(terms) }
}

const threeKeys = async () => [await world.actor(), await world.actor(), await world.actor()] as const

async function signDeposit(payer: PrivateKeyAccount, amountMicros: bigint, nonce: Hex) {
  const { usdc: token, usdcDomain, escrow, chainId } = world.chain
  const validBefore = (await world.now()) + 600
  const deposit = { valueMicros: micros(amountMicros), validAfter: 0, validBefore, nonce }
  const domain = { token, tokenName: usdcDomain.name, tokenVersion: usdcDomain.version, chainId }
  const hash = depositDigest({ ...domain, from: payer.address, escrow, ...deposit })
  return { ...deposit, signature: await sign(payer, hash) }
}

type Parties = Awaited<ReturnType<typeof parties>>

async function open({ payer, terms }: Parties, amountMicros = 1_000_000n): Promise<string> {
  const deposit = await signDeposit(payer, amountMicros, openNonce(terms))
  return relay(encodeOpenWithAuthorization(terms, deposit))
}

async function signedClaim(
  { terms, id, session }: Parties,
  claimant: PrivateKeyAccount,
  kind: 'Claim' | 'ClaimAndClose',
  claimMicros: bigint,
) {
  const cumulativeMicros = micros(900_000n)
  const signature = await sign(session, voucherDigest(terms, id, cumulativeMicros))
  const claim = { channelId: id, claimMicros: micros(claimMicros), nonce: randomNonce(), deadline }
  const claimSignature = await sign(claimant, claimDigest(terms, kind, claim))
  return { claim, claimSignature, voucher: { cumulativeMicros, signature } }
}

test('a session from relayed deposit to relayed payout, signed by the protocol’s digests', async () => {
  const all = await parties()
  const { payer, payee, operator, terms, id } = all
  const { client, chain } = world
  expect(await open(all)).toBe('succeeded')
  const operatorTerms = {
    owner: payee.address,
    operator: operator.address,
    allowed: true,
    nonce: 1n,
    deadline,
  }
  const permission = await sign(payee, setOperatorDigest(terms, operatorTerms))
  const { escrow } = chain
  expect(await relay(encodeSetOperatorWithAuthorization(escrow, operatorTerms, permission))).toBe('succeeded')
  expect(await readOperator(client, escrow, payee.address, operator.address)).toEqual({ status: 'allowed' })
  const partial = await signedClaim(all, operator, 'Claim', 400_050n)
  expect(await relay(encodeClaimWithAuthorization(escrow, partial))).toBe('succeeded')
  const topUpSalt = randomWord()
  const additional = micros(5n)
  await chain.mint(payer.address, additional)
  const topUp = { channelId: id, from: payer.address, topUpSalt }
  const deposit = await signDeposit(payer, additional, topUpNonce(id, additional, payer.address, topUpSalt))
  expect(await relay(encodeTopUpWithAuthorization(escrow, topUp, deposit))).toBe('succeeded')
  const last = await signedClaim(all, operator, 'ClaimAndClose', 500_001n)
  expect(await relay(encodeClaimAndCloseWithAuthorization(escrow, last))).toBe('succeeded')
  expect(await readSettlement(client, escrow, id, { fromBlock: 0n })).toMatchObject({
    status: 'settled',
    settlement: {
      ...{ payeeMicros: 450_000n, platformMicros: 35_000n, reserveMicros: 15_001n },
      ...{
        refundMicros: 500_004n,
        payouts: [{ cumulativeMicros: 400_000n }, { cumulativeMicros: 500_001n }],
      },
    },
  })
  expect(await world.balance(payer.address)).toBe(500_004n)
})

test('an agent gets its deposit back by a relayed close request, with its provider gone', async () => {
  const all = await parties()
  const { session, terms, id } = all
  await open(all)
  const nonce = randomNonce()
  const signature = await sign(session, requestCloseDigest(terms, id, nonce, deadline))
  const { escrow } = world.chain
  const request = encodeRequestCloseWithAuthorization(escrow, { channelId: id, nonce, deadline, signature })
  expect(await relay(request)).toBe('succeeded')
  expect(await relay(encodeWithdraw(escrow, id))).toBe('CloseNotReady')
  await world.pass(900)
  expect(await relay(encodeWithdraw(escrow, id))).toBe('succeeded')
  expect(await world.balance(all.payer.address)).toBe(1_000_000n)
  expect(await readChannel(world.client, escrow, id)).toMatchObject({ channel: { phase: 'finalized' } })
})

test('a provider that earned nothing gives everything back without a voucher', async () => {
  const all = await parties()
  await open(all)
  const { claim, claimSignature } = await signedClaim(all, all.payee, 'ClaimAndClose', 0n)
  const { escrow } = world.chain
  expect(await relay(encodeForfeitWithAuthorization(escrow, { claim, claimSignature }))).toBe('succeeded')
  expect(await world.balance(all.payer.address)).toBe(1_000_000n)
})

test('a refund that met a paused token is delivered later, with no one’s permission', async () => {
  const all = await parties()
  await open(all)
  const { claim, claimSignature } = await signedClaim(all, all.payee, 'ClaimAndClose', 0n)
  const { escrow } = world.chain
  await world.tokenOwner('pause')
  expect(await relay(encodeForfeitWithAuthorization(escrow, { claim, claimSignature }))).toBe('succeeded')
  await world.tokenOwner('unpause')
  const payer: Address = all.payer.address
  expect(await relay(encodeDeliverCredit(escrow, payer))).toBe('succeeded')
  expect(await world.balance(payer)).toBe(1_000_000n)
})
