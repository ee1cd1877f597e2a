import { orienEscrowAbi } from '@orien/contracts'
import {
  batchDigest,
  channelId,
  claimDigest,
  micros,
  openNonce,
  requestCloseDigest,
  setOperatorDigest,
  topUpNonce,
  voucherDigest,
} from '@orien/protocol'
import fc from 'fast-check'
import { type Hex, hashTypedData, keccak256, stringToHex, toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import { encodeBatch } from '../encodeBatch.ts'
import { approve, expectedChannelId, openChannel, signDeposit } from '../testing/channel.ts'
import { newKeys } from '../testing/fleet.ts'
import { escrowDomain } from '../testing/typedData.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** `abi.encode` of static values and EIP-712 with nothing but string padding, from the two specifications. */
const padded = (value: Hex | bigint | boolean): string =>
  (typeof value === 'string' ? value.slice(2) : BigInt(value).toString(16)).toLowerCase().padStart(64, '0')
const hashOf = (...values: (Hex | bigint | boolean)[]): Hex => keccak256(`0x${values.map(padded).join('')}`)
const text = (value: string): Hex => keccak256(stringToHex(value))

function byHand(
  place: { chainId: number; escrow: Hex },
  type: string,
  ...values: (Hex | bigint | boolean)[]
): Hex {
  const domainType = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'
  const name = [text('EVM Payment Channel'), text('1')] as const
  const domain = hashOf(text(domainType), ...name, BigInt(place.chainId), place.escrow)
  return keccak256(`0x1901${domain.slice(2)}${hashOf(text(type), ...values).slice(2)}`)
}

const claimType = 'BatchClaim(bytes32 channelId,uint128 claimAmount)'
const listHash = (claims: readonly { channelId: Hex; claimMicros: bigint }[]): Hex =>
  hashOf(...claims.map((claim) => hashOf(text(claimType), claim.channelId, claim.claimMicros)))

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((bytes) => toHex(bytes))
const amount = fc.bigInt(0n, 2n ** 63n - 1n).map(micros)
const word = fc.bigInt(0n, 2n ** 256n - 1n)
const seconds = fc.integer({ min: 0, max: 2 ** 40 })
const place = fc.record({ chainId: fc.integer({ min: 1 }), escrow: hex(20) })

describe('an id is the same by the contract’s view, by the protocol, by viem and by hand', () => {
  test('of a channel', async () => {
    const { escrow, usdc, chainId } = world.chain
    const view = { address: escrow, abi: orienEscrowAbi, functionName: 'computeChannelId' } as const
    const property = fc.asyncProperty(
      hex(20),
      hex(20),
      hex(20),
      hex(32),
      async (payer, payee, signer, salt) => {
        const parties = { payer, payee, authorizedSigner: signer }
        const fromView = await world.client.readContract({
          ...view,
          args: [payer, payee, usdc, salt, signer],
        })
        expect(channelId({ chainId, escrow, token: usdc, salt, ...parties })).toBe(fromView)
        expect(expectedChannelId(world, { ...parties, salt })).toBe(fromView)
        expect(hashOf(payer, payee, usdc, salt, signer, escrow, BigInt(chainId))).toBe(fromView)
      },
    )
    await fc.assert(property, { numRuns: 100 })
  })
})

describe('a digest is the same by the protocol and by hand', () => {
  test('of vouchers, claims, close requests and permissions', () => {
    const property = fc.property(place, hex(32), amount, word, seconds, hex(20), hex(20), (...given) => {
      const [at, id, value, nonce, deadline, owner, operator] = given
      const limits = [nonce, BigInt(deadline)] as const
      const voucherType = 'Voucher(bytes32 channelId,uint128 cumulativeAmount)'
      expect(voucherDigest(at, id, value)).toBe(byHand(at, voucherType, id, value))
      for (const kind of ['Claim', 'ClaimAndClose'] as const) {
        const type = `${kind}(bytes32 channelId,uint128 claimAmount,uint256 nonce,uint256 deadline)`
        const terms = { channelId: id, claimMicros: value, nonce, deadline }
        expect(claimDigest(at, kind, terms)).toBe(byHand(at, type, id, value, ...limits))
      }
      const requestType = 'RequestClose(bytes32 channelId,uint256 nonce,uint256 deadline)'
      expect(requestCloseDigest(at, id, nonce, deadline)).toBe(byHand(at, requestType, id, ...limits))
      const type = 'SetOperator(address owner,address operator,bool allowed,uint256 nonce,uint256 deadline)'
      const permission = { owner, operator, allowed: nonce % 2n === 0n, nonce, deadline }
      const expected = byHand(at, type, owner, operator, permission.allowed, ...limits)
      expect(setOperatorDigest(at, permission)).toBe(expected)
    })
    fc.assert(property)
  })

  test('of batches, and by viem', () => {
    const claims = fc.array(fc.record({ channelId: hex(32), claimMicros: amount }), { maxLength: 20 })
    const property = fc.property(place, hex(20), claims, seconds, (at, payee, list, deadline) => {
      for (const kind of ['ClaimBatch', 'CloseBatch'] as const) {
        const digest = batchDigest(at, kind, { payee, claims: list, deadline })
        const type = `${kind}(address payee,BatchClaim[] claims,uint256 deadline)${claimType}`
        expect(digest).toBe(byHand(at, type, payee, listHash(list), BigInt(deadline)))
        const types = {
          [kind]: [
            { name: 'payee', type: 'address' },
            { name: 'claims', type: 'BatchClaim[]' },
            { name: 'deadline', type: 'uint256' },
          ],
          BatchClaim: [
            { name: 'channelId', type: 'bytes32' },
            { name: 'claimAmount', type: 'uint128' },
          ],
        }
        const message = {
          payee,
          claims: list.map((claim) => ({ channelId: claim.channelId, claimAmount: claim.claimMicros })),
          deadline: BigInt(deadline),
        }
        const domain = { ...escrowDomain(at.escrow, at.chainId) }
        expect(hashTypedData({ domain, types, primaryType: kind, message })).toBe(digest)
      }
    })
    fc.assert(property)
  })

  test('of deposits’ nonces', () => {
    const property = fc.property(hex(20), hex(20), hex(20), hex(32), hex(20), amount, (...given) => {
      const [payer, payee, token, salt, authorizedSigner, value] = given
      const terms = { chainId: 1, escrow: token, payer, payee, token, salt, authorizedSigner }
      expect(openNonce(terms)).toBe(hashOf(payer, payee, token, salt, authorizedSigner))
      expect(topUpNonce(salt, value, payer, salt)).toBe(hashOf(salt, value, payer, salt))
    })
    fc.assert(property)
  })
})

describe('the contract accepts what was signed over hashes made by hand', () => {
  test('deposit, top-up, voucher, and a batch', async () => {
    const { usdc, escrow } = world.chain
    const [session] = newKeys(1)
    if (!session) return expect.fail('a key')
    const [payer, payee, salt] = [await world.actor(1_500n), await world.actor(), randomWord()]
    const nonce = hashOf(payer.address, payee.address, usdc, salt, session.address)
    const deposit = await signDeposit(world, payer, 1_000n, nonce)
    const window = [deposit.validAfter, deposit.validBefore] as const
    const terms = [payee.address, usdc, 1_000n, salt, session.address, payer.address] as const
    const opened = await world.act(payee, 'openWithAuthorization', [
      ...terms,
      ...window,
      nonce,
      deposit.signature,
    ])
    expect(opened).toMatchObject({ status: 'ok' })
    const id = hashOf(payer.address, payee.address, usdc, salt, session.address, escrow, 31_337n)
    const topUpNonceByHand = hashOf(id, 500n, payer.address, salt)
    const more = await signDeposit(world, payer, 500n, topUpNonceByHand)
    const times = [more.validAfter, more.validBefore] as const
    const topUp = [id, 500n, payer.address, salt, ...times, topUpNonceByHand, more.signature] as const
    expect(await world.act(payee, 'topUpWithAuthorization', topUp)).toMatchObject({ status: 'ok' })
    const voucherType = 'Voucher(bytes32 channelId,uint128 cumulativeAmount)'
    const voucher = await session.sign({ hash: byHand(world.chain, voucherType, id, 1_400n) })
    expect(await world.act(payee, 'claim', [id, 300n, 1_400n, voucher])).toMatchObject({ status: 'ok' })
    const type = `CloseBatch(address payee,BatchClaim[] claims,uint256 deadline)${claimType}`
    const claims = [{ channelId: id, claimMicros: micros(1_234n) }]
    const deadline = 2 ** 40
    const hash = byHand(world.chain, type, payee.address, listHash(claims), BigInt(deadline))
    const signed = {
      terms: { payee: payee.address, claims, deadline },
      signature: await payee.sign({ hash }),
      vouchers: [{ cumulativeMicros: micros(1_400n), signature: voucher }],
    }
    const call = encodeBatch(escrow, 'CloseBatch', [signed])
    expect(await world.send(payer, escrow, call.data)).toMatchObject({ status: 'ok' })
    expect(await world.balance(payee.address)).toBe(1_110n)
    expect(await world.balance(payer.address)).toBe(266n)
  })
})

test('a channel of the same terms on another contract or chain has another id, so its vouchers are worth nothing here', async () => {
  const channel = await openChannel(world, 1_000n)
  await approve(world, channel.payer, 1n)
  const terms = { token: world.chain.usdc, salt: channel.salt, payer: channel.payer.address }
  const parties = { payee: channel.payee.address, authorizedSigner: channel.session.address }
  const here = { chainId: 31_337, escrow: world.chain.escrow }
  expect(channelId({ ...here, ...terms, ...parties })).toBe(channel.id)
  expect(channelId({ ...here, ...terms, ...parties, chainId: 1 })).not.toBe(channel.id)
  expect(channelId({ ...here, ...terms, ...parties, escrow: world.chain.usdc })).not.toBe(channel.id)
})
