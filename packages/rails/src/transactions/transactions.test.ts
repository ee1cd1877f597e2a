import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Hex, parseTransaction } from 'viem'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { chains, otherChain } from '../chain/chains.ts'
import { connectChain } from '../chain/connect.ts'
import { finalBlockAt, readHead } from '../chain/readHead.ts'
import { openWorld, type World } from '../escrow/testing/world.ts'
import { localFees } from '../localChain/limits.ts'
import { broadcast } from './broadcast.ts'
import { raiseFees, readFees } from './readFees.ts'
import { readNonces } from './readNonces.ts'
import { readTransaction } from './readTransaction.ts'
import { type Signer, signerFromPrivateKey } from './signer.ts'
import { priceOf, signReplacement } from './signReplacement.ts'

let world: World
let signer: Signer
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  const key: Hex = `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')}`
  signer = signerFromPrivateKey(key)
  await world.chain.fund(signer.address)
})

const nobody = '0x00000000000000000000000000000000000000aa'
const sign = (nonce: number, changed: Partial<Parameters<Signer['sign']>[0]> = {}) =>
  signer.sign({ chainId: 31337, to: nobody, data: '0x', nonce, gas: 50_000n, ...localFees, ...changed })
const request = (method: string, params: unknown[]) =>
  world.client.request<{ Parameters: unknown[]; ReturnType: unknown }>({ method, params })

describe('with mining on', () => {
  test('a transaction is accepted, mined, and its nonce spent', async () => {
    expect(await readNonces(world.client, signer.address)).toEqual({ status: 'read', mined: 0, pending: 0 })
    const { raw, hash } = await sign(0)
    expect(await broadcast(world.client, raw)).toEqual({ status: 'accepted', hash })
    await world.mined(hash)
    expect(await readTransaction(world.client, hash)).toMatchObject({ status: 'mined', outcome: 'succeeded' })
    expect(await readNonces(world.client, signer.address)).toEqual({ status: 'read', mined: 1, pending: 1 })
  })

  test('the same bytes again do no harm', async () => {
    const { raw, hash } = await sign(0)
    await broadcast(world.client, raw)
    await world.mined(hash)
    const again = await broadcast(world.client, raw)
    expect(['already_known', 'nonce_too_low']).toContain(again.status)
    expect(await readTransaction(world.client, hash)).toMatchObject({ status: 'mined' })
    expect(await readNonces(world.client, signer.address)).toMatchObject({ mined: 1 })
  })

  test('other bytes with a spent nonce are told apart', async () => {
    const first = await sign(0)
    await broadcast(world.client, first.raw)
    await world.mined(first.hash)
    const other = await sign(0, { data: '0x01' })
    expect(await broadcast(world.client, other.raw)).toMatchObject({ status: 'nonce_too_low' })
    expect(await readTransaction(world.client, other.hash)).toEqual({ status: 'unknown' })
  })

  test('a revert is mined, and said to be one', async () => {
    const reverting = await sign(0, { to: world.chain.escrow, data: '0xdeadbeef' })
    await broadcast(world.client, reverting.raw)
    await world.mined(reverting.hash)
    expect(await readTransaction(world.client, reverting.hash)).toMatchObject({
      status: 'mined',
      outcome: 'reverted',
    })
  })

  test('what the account cannot pay is rejected', async () => {
    const tooDear = await sign(0, { valueWei: 10n ** 24n })
    expect(await broadcast(world.client, tooDear.raw)).toMatchObject({ status: 'rejected' })
  })

  test('fees below the base fee are told apart', async () => {
    const cheap = await sign(0, { maxFeePerGas: 1n, maxPriorityFeePerGas: 0n })
    expect(await broadcast(world.client, cheap.raw)).toMatchObject({ status: 'underpriced' })
  })
})

describe('with mining off', () => {
  beforeEach(() => world.node.setAutomine(false))
  afterEach(() => world.node.setAutomine(true))

  test('a transaction is pending, and the same bytes are known', async () => {
    const { raw, hash } = await sign(0)
    await broadcast(world.client, raw)
    expect(await readTransaction(world.client, hash)).toEqual({ status: 'pending' })
    expect(await broadcast(world.client, raw)).toMatchObject({ status: 'already_known', hash })
    expect(await readNonces(world.client, signer.address)).toEqual({ status: 'read', mined: 0, pending: 1 })
  })

  test('a replacement needs raised fees, and then only one of the two is mined', async () => {
    const first = await sign(0)
    await broadcast(world.client, first.raw)
    const same = await sign(0, { data: '0x01' })
    expect(await broadcast(world.client, same.raw)).toMatchObject({ status: 'underpriced' })
    const fees = raiseFees(localFees, localFees, chains.local.feeCapWei)
    const raised = await sign(0, { data: '0x01', ...fees })
    expect(await broadcast(world.client, raised.raw)).toMatchObject({ status: 'accepted' })
    await world.node.mine({ blocks: 1 })
    await world.mined(raised.hash)
    expect(await readTransaction(world.client, raised.hash)).toMatchObject({ status: 'mined' })
    expect(await readTransaction(world.client, first.hash)).toEqual({ status: 'unknown' })
  })

  test('a transaction that the pool dropped is unknown, and its bytes can be sent again', async () => {
    const { raw, hash } = await sign(0)
    await broadcast(world.client, raw)
    await world.node.dropTransaction({ hash })
    expect(await readTransaction(world.client, hash)).toEqual({ status: 'unknown' })
    expect(await broadcast(world.client, raw)).toMatchObject({ status: 'accepted' })
  })
})

describe('a reorganisation', () => {
  test('makes a mined transaction not mined, and the same bytes bring it back', async () => {
    const { raw, hash } = await sign(0)
    await broadcast(world.client, raw)
    await world.mined(hash)
    const mined = await readTransaction(world.client, hash)
    await request('anvil_rollback', [1])
    expect((await readTransaction(world.client, hash)).status).not.toBe('mined')
    await broadcast(world.client, raw)
    await world.node.mine({ blocks: 1 })
    await world.mined(hash)
    const again = await readTransaction(world.client, hash)
    expect([mined.status, again.status]).toEqual(['mined', 'mined'])
  })

  test('shows in the block’s hash when the transaction is in the new blocks too', async () => {
    const { raw, hash } = await sign(0)
    await broadcast(world.client, raw)
    await world.mined(hash)
    const before = await readTransaction(world.client, hash)
    await request('anvil_reorg', [1, [[raw, 0]]])
    const after = await readTransaction(world.client, hash)
    if (before.status !== 'mined' || after.status !== 'mined') return expect.fail('mined before and after')
    expect(after.blockNumber).toBe(before.blockNumber)
    expect(after.blockHash).not.toBe(before.blockHash)
  })
})

describe('the head of the chain', () => {
  test('is final at once on a chain of depth 1, and eight blocks deep on one that reorganises', async () => {
    await world.node.mine({ blocks: 10 })
    const local = await readHead(world.client, chains.local)
    const reorg = await readHead(world.client, chains['local-reorg'])
    if (local.status !== 'read' || reorg.status !== 'read') return expect.fail('the chain answers')
    expect(local.finalBlock).toBe(local.latestBlock)
    expect(reorg.finalBlock).toBe(reorg.latestBlock - 7n)
  })
})

test('elsewhere the chain’s own finalized tag decides', async () => {
  const other = otherChain({ chainId: 31337, name: 'other', usdc: world.chain.usdc })
  await world.node.mine({ blocks: 100 })
  const head = await readHead(world.client, other)
  if (head.status !== 'read') return expect.fail(head.detail)
  expect(head.finalBlock).toBeLessThan(head.latestBlock)
})

test('a chain younger than its depth has no final block', () => {
  expect([finalBlockAt(3n, 8n), finalBlockAt(6n, 8n), finalBlockAt(7n, 8n)]).toEqual([-1n, -1n, 0n])
})

describe('fees', () => {
  test('are pinned on the local chain, and those of the market suffice on one that has a market', async () => {
    expect(await readFees(world.client, chains.local)).toEqual({ status: 'read', ...localFees })
    const market = await readFees(world.client, { ...chains.local, fees: { kind: 'market' } })
    if (market.status !== 'read') return expect.fail('the chain answers')
    const { status, ...fees } = market
    expect(await broadcast(world.client, (await sign(0, fees)).raw)).toMatchObject({ status: 'accepted' })
  })

  test('of a replacement follow the market when it has risen further', () => {
    const market = { maxFeePerGas: 1_000n, maxPriorityFeePerGas: 5n }
    const raised = raiseFees({ maxFeePerGas: 100n, maxPriorityFeePerGas: 40n }, market, 2_000n)
    expect(raised).toEqual({ maxFeePerGas: 1_000n, maxPriorityFeePerGas: 46n })
  })

  test('of a replacement rise by an eighth at least, up to the cap and never above it', () => {
    const low = { maxFeePerGas: 1n, maxPriorityFeePerGas: 1n }
    let fees = { maxFeePerGas: 1_000n, maxPriorityFeePerGas: 900n }
    const path = [fees]
    for (let next = raiseFees(fees, low, 2_000n); next; next = raiseFees(fees, low, 2_000n)) {
      fees = next
      path.push(fees)
    }
    expect(path.map(({ maxFeePerGas }) => maxFeePerGas)).toEqual([1000n, 1126n, 1267n, 1426n, 1605n, 1806n])
    for (const { maxFeePerGas, maxPriorityFeePerGas } of path)
      expect(maxPriorityFeePerGas).toBeLessThanOrEqual(maxFeePerGas)
    expect(raiseFees(low, { maxFeePerGas: 9_000n, maxPriorityFeePerGas: 9_000n }, 2_000n)).toEqual({
      maxFeePerGas: 2_000n,
      maxPriorityFeePerGas: 2_000n,
    })
  })

  test('of the market are cut at the cap', async () => {
    const capped = await readFees(world.client, { fees: { kind: 'market' }, feeCapWei: 5n })
    expect(capped).toEqual({ status: 'read', maxFeePerGas: 5n, maxPriorityFeePerGas: 5n })
  })

  test('are all that a replacement changes: nonce, target, data, value and gas stay', async () => {
    const first = await sign(7, { data: '0xabcd', valueWei: 3n })
    const fees = { maxFeePerGas: 2n ** 40n, maxPriorityFeePerGas: 2n ** 30n }
    const { raw } = await signReplacement(signer, first.raw, fees)
    const of = (bytes: Hex) => {
      const { r, s, v, yParity, ...plan } = parseTransaction(bytes as `0x02${string}`) as Record<
        string,
        unknown
      >
      return plan
    }
    expect(of(raw)).toEqual({ ...of(first.raw), ...fees })
    expect(priceOf(raw)).toEqual({ ...fees, nonce: 7, gas: 50_000n })
    expect((await sign(7, { data: '0xabcd', valueWei: 3n, ...fees })).raw).toBe(raw)
  })
})

/** An RPC between us and the chain that passes requests on and treats the answers as it is told. */
async function lossyProxy(
  treat: (answer: string) => string | null,
): Promise<{ server: Server; url: string }> {
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(world.chain.rpcUrl, { method: 'POST', headers, body: Buffer.concat(chunks) })
    const treated = treat(await answer.text())
    if (treated === null) response.destroy()
    else response.end(treated)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe('a connection that fails', () => {
  test('leaves the outcome open: the transaction may be mined although no answer came', async () => {
    const { server, url } = await lossyProxy(() => null)
    const { raw, hash } = await sign(0)
    const outcome = await broadcast(connectChain(chains.local, url), raw)
    expect(outcome).toMatchObject({ status: 'unreachable', hash })
    await world.mined(hash)
    expect(await readTransaction(world.client, hash)).toMatchObject({ status: 'mined' })
    server.close()
  })

  test.each([
    ['that is no JSON', '<html>'],
    ['that is empty', ''],
    ['without a result', '{"jsonrpc":"2.0","id":1}'],
    ['about another transaction', `{"jsonrpc":"2.0","id":1,"result":"0x${'00'.repeat(32)}"}`],
  ])('an answer %s concludes nothing', async (_, answer) => {
    const { server, url } = await lossyProxy(() => answer)
    const client = connectChain(chains.local, url)
    const { raw } = await sign(0)
    expect(await broadcast(client, raw)).toMatchObject({ status: 'unreachable' })
    server.close()
  })

  test('is said by every reading, and nothing is thrown', async () => {
    const client = connectChain(chains.local, 'http://127.0.0.1:1')
    const { raw, hash } = await sign(0)
    const readings = [
      await broadcast(client, raw),
      await readTransaction(client, hash),
      await readNonces(client, signer.address),
      await readHead(client, chains.local),
      await readFees(client, { ...chains.local, fees: { kind: 'market' } }),
    ]
    expect(readings.map(({ status }) => status)).toEqual(Array(5).fill('unreachable'))
  })
})
