import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { orienEscrowAbi, orienEscrowBytecode } from '@orien/contracts'
import { type Address, encodeDeployData, zeroAddress } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask } from '../chain/ask.ts'
import { chains } from '../chain/chains.ts'
import { connectChain } from '../chain/connect.ts'
import { randomWord } from '../random.ts'
import { encodeWithdraw } from './encodeExit.ts'
import { readBalance, readCredit } from './readBalance.ts'
import { readChannel } from './readChannel.ts'
import { readEscrowTerms } from './readEscrowTerms.ts'
import { readOperator } from './readOperator.ts'
import { readSettlement } from './readSettlement.ts'
import { readTokenDomain } from './readTokenDomain.ts'
import { explainRevert, simulateCall } from './simulateCall.ts'
import { openChannel, signVoucher } from './testing/channel.ts'
import { encodeEscrow, openWorld, type World } from './testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const to = () => world.chain.escrow

test('a call that would succeed gives a gas limit that suffices and changes nothing', async () => {
  const channel = await openChannel(world)
  const voucher = await signVoucher(world, channel, 500n)
  const data = encodeEscrow('close', [channel.id, 500n, voucher])
  const simulation = await simulateCall(world.client, { to: to(), data }, channel.payee.address)
  if (simulation.status !== 'ok') return expect.fail(simulation.status)
  expect(await readChannel(world.client, to(), channel.id)).toMatchObject({ channel: { phase: 'open' } })
  expect(await world.sendWithGas(channel.payee, data, simulation.gas)).toMatchObject({ status: 'success' })
})

test('a call that would revert is explained by the contract’s error, and the token’s by its words', async () => {
  const payer = await world.actor()
  const absent = await simulateCall(world.client, encodeWithdraw(to(), randomWord()), payer.address)
  expect(absent).toMatchObject({ status: 'reverted', error: 'ChannelNotFound' })
  const open = encodeEscrow('open', [payer.address, world.chain.usdc, 1n, randomWord(), payer.address])
  const unpaid = await simulateCall(world.client, { to: to(), data: open }, payer.address)
  const detail = expect.stringContaining('exceeds')
  expect(unpaid).toMatchObject({ status: 'reverted', error: 'TokenRefused', detail })
})

test.each([
  [503, -32603, 'overloaded'],
  [200, -32005, 'daily request count exceeded'],
  [429, -32005, 'limit exceeded'],
  [200, -32000, 'insufficient funds for gas * price + value'],
  [200, -32000, 'gas required exceeds allowance (21000)'],
])('an answer %i with %i, %s, says nothing about the call', async (status, code, message) => {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message } }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectChain(chains.local, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const answer = await simulateCall(client, encodeWithdraw(to(), randomWord()), world.chain.platform)
  server.close()
  expect(['refused', 'unreachable']).toContain(answer.status)
})

test('revert data that nobody knows is not taken for an error of ours', () => {
  const unknown = { error: 'Unknown', detail: 'execution reverted' }
  for (const data of [null, '0x', '0xdeadbeef', '0x08c379a0'] as const) {
    expect(explainRevert({ message: 'execution reverted', data })).toEqual(unknown)
  }
})

test('a settlement is read from the events alone, over several claims and within a range of blocks', async () => {
  const channel = await openChannel(world, 10_000n)
  const voucher = await signVoucher(world, channel, 9_000n)
  const first = await world.act(channel.payee, 'claim', [channel.id, 1_000n, 9_000n, voucher])
  if (first.status !== 'ok') return expect.fail(first.error)
  const range = { fromBlock: first.blockNumber }
  expect(await readSettlement(world.client, to(), channel.id, range)).toMatchObject({
    status: 'open',
    payouts: [{ txHash: first.hash, payeeMicros: 900n, platformMicros: 70n, reserveMicros: 30n }],
  })
  const last = await world.act(channel.payee, 'claimAndClose', [channel.id, 2_345n, 9_000n, voucher])
  if (last.status !== 'ok') return expect.fail(last.error)
  const shares = { payeeMicros: 2_110n, platformMicros: 164n, reserveMicros: 71n, refundMicros: 7_655n }
  expect(await readSettlement(world.client, to(), channel.id, range)).toMatchObject({
    status: 'settled',
    settlement: { txHash: last.hash, blockNumber: last.blockNumber, ...shares },
  })
  const before = { fromBlock: 0n, toBlock: first.blockNumber }
  expect(await readSettlement(world.client, to(), channel.id, before)).toMatchObject({ status: 'open' })
})

test('a channel is read as it was at an older block', async () => {
  const channel = await openChannel(world, 1_000n)
  const blockNumber = await world.client.getBlockNumber()
  await world.act(channel.payee, 'close', [channel.id, 0n, '0x'])
  const then = await readChannel(world.client, to(), channel.id, blockNumber)
  expect(then).toMatchObject({ channel: { phase: 'open' } })
  expect(await readChannel(world.client, to(), channel.id, blockNumber - 1n)).toEqual({ status: 'absent' })
})

test('the token’s domain is read from the token and checked against its separator', async () => {
  const domain = await readTokenDomain(world.client, world.chain.usdc)
  expect(domain).toEqual({ status: 'read', ...world.chain.usdcDomain })
})

test('an escrow of this source is told from one that only answers like it', async () => {
  const { platform, reserve, usdc: token } = world.chain
  const terms = { token, platform, reserve, closeGraceSeconds: 900n }
  expect(await readEscrowTerms(world.client, to())).toEqual({ status: 'genuine', terms })
  const args = [token, platform, reserve, 900n] as const
  const code = encodeDeployData({ abi: orienEscrowAbi, bytecode: orienEscrowBytecode, args })
  const elsewhere = await world.deploy(await world.actor(), code)
  expect(await readEscrowTerms(world.client, elsewhere)).toEqual({ status: 'other', terms })
})

test('an escrow is not constructed without receivers or with an absurd grace period', async () => {
  const deployer = await world.actor()
  const { platform, reserve, usdc } = world.chain
  const attempt = async (...args: readonly [Address, Address, Address, bigint]) => {
    const data = encodeDeployData({ abi: orienEscrowAbi, bytecode: orienEscrowBytecode, args })
    const call = world.client.estimateGas({ account: deployer.address, data })
    const answer = await ask(call)
    return answer.status === 'refused' ? explainRevert(answer).error : answer.status
  }
  expect(await attempt(zeroAddress, platform, reserve, 900n)).toBe('ZeroAddress')
  expect(await attempt(usdc, zeroAddress, reserve, 900n)).toBe('ZeroAddress')
  expect(await attempt(usdc, platform, zeroAddress, 900n)).toBe('ZeroAddress')
  expect(await attempt(usdc, platform, reserve, 0n)).toBe('InvalidGracePeriod')
  expect(await attempt(usdc, platform, reserve, 30n * 86_400n + 1n)).toBe('InvalidGracePeriod')
  expect(await attempt(usdc, platform, reserve, 30n * 86_400n)).toBe('answered')
})

test('a chain that does not answer is said by every reading, and nothing is thrown', async () => {
  const lost = connectChain(chains.local, 'http://127.0.0.1:1')
  const { usdc, platform } = world.chain
  const readings = [
    await simulateCall(lost, encodeWithdraw(to(), randomWord()), platform),
    await readChannel(lost, to(), randomWord()),
    await readOperator(lost, to(), platform, platform),
    await readSettlement(lost, to(), randomWord(), { fromBlock: 0n }),
    await readBalance(lost, usdc, platform),
    await readCredit(lost, to(), platform),
    await readTokenDomain(lost, usdc),
    await readEscrowTerms(lost, to()),
  ]
  expect(readings.map(({ status }) => status)).toEqual(Array(8).fill('unreachable'))
})

test('an address that is no escrow is not taken for one', async () => {
  const nowhere = '0x00000000000000000000000000000000000000aa'
  expect(await readChannel(world.client, nowhere, randomWord())).toMatchObject({ status: 'unreachable' })
})
