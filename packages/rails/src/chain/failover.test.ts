import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AnvilProcess, startAnvil } from '../localChain/anvilProcess.ts'
import { localClients } from '../localChain/rpc.ts'
import { startBentNode } from '../preflight/testing/bentNode.ts'
import { chains } from './chains.ts'
import { connectAnyChain, connectChain, rpcUrls } from './connect.ts'
import type { RefusedEndpoint } from './failover.ts'
import { readChainId, readGasBalance } from './readGas.ts'
import { readHead } from './readHead.ts'

const NOBODY = 'http://127.0.0.1:9'
const ACCOUNT = `0x${'77'.repeat(20)}` as const

let behind: AnvilProcess
let ahead: AnvilProcess
beforeAll(async () => {
  ;[behind, ahead] = await Promise.all([startAnvil({ port: 0 }), startAnvil({ port: 0 })])
  await localClients(ahead.rpcUrl).node.mine({ blocks: 20 })
})
afterAll(() => Promise.all([behind.stop(), ahead.stop()]))

const headOf = async (list: string) => readHead(connectChain(chains.local, list), chains.local)

test('a node that does not answer is left for the next one, in every order', async () => {
  expect(await headOf(`${NOBODY},${ahead.rpcUrl}`)).toMatchObject({ status: 'read', latestBlock: 20n })
  expect(await headOf(`${ahead.rpcUrl}, ${NOBODY}`)).toMatchObject({ status: 'read', latestBlock: 20n })
  expect(await headOf(`${NOBODY},${NOBODY}`)).toMatchObject({ status: 'unreachable' })
})

test('a node whose chain stands still is left for one that is ahead', async () => {
  const client = connectChain(chains.local, `${behind.rpcUrl},${ahead.rpcUrl}`)
  expect(await readHead(client, chains.local)).toMatchObject({ latestBlock: 0n })
  await expect
    .poll(async () => {
      const head = await readHead(client, chains.local)
      return head.status === 'read' ? head.latestBlock : null
    })
    .toBe(20n)
})

test('a node that is a few blocks behind is stayed with: nodes never hear of a block at the same moment', async () => {
  const near = await startAnvil({ port: 0 })
  await localClients(near.rpcUrl).node.mine({ blocks: 17 })
  const client = connectChain(chains.local, `${near.rpcUrl},${ahead.rpcUrl}`)
  for (let looks = 0; looks < 30; looks += 1) {
    expect(await readHead(client, chains.local)).toMatchObject({ latestBlock: 17n })
  }
  await localClients(ahead.rpcUrl).node.mine({ blocks: 1 })
  const head = () => readHead(client, chains.local)
  await expect.poll(head).toMatchObject({ latestBlock: 21n })
  await near.stop()
})

describe('a node of another chain', () => {
  const stranger = () =>
    startBentNode(ahead.rpcUrl, (method) => (method === 'eth_chainId' ? { result: '0x1' } : undefined))

  test('is never believed: it is left for the next one, and told once by code and place', async () => {
    const other = await stranger()
    const refused: RefusedEndpoint[] = []
    const client = connectChain(chains.local, `${other.url},${behind.rpcUrl}`, (one) => refused.push(one))
    for (let looks = 0; looks < 25; looks += 1)
      expect(await readHead(client, chains.local)).toMatchObject({ status: 'read', latestBlock: 0n })
    expect(refused).toEqual([
      { endpoint: 0, code: 'wrong_chain', detail: 'endpoint 1 serves chain 1, not 31337' },
    ])
    other.close()
  })

  test('is not moved to although its chain is ahead', async () => {
    const other = await stranger()
    const refused: RefusedEndpoint[] = []
    const client = connectChain(chains.local, `${behind.rpcUrl},${other.url}`, (one) => refused.push(one))
    const look = () => readHead(client, chains.local)
    await expect
      .poll(async () => {
        expect(await look()).toMatchObject({ latestBlock: 0n })
        return refused.length
      })
      .toBe(1)
    for (let looks = 0; looks < 20; looks += 1) expect(await look()).toMatchObject({ latestBlock: 0n })
    other.close()
  })

  test('where nobody else answers leaves no answer at all, and says why', async () => {
    const other = await stranger()
    const client = connectChain(chains.local, `${other.url},${NOBODY}`)
    expect(await readGasBalance(client, ACCOUNT)).toMatchObject({ status: 'unreachable' })
    other.close()
  })

  test('behind an address that was away is found out when it comes back', async () => {
    let chainId = '0x7a69'
    let isAway = false
    const changing = await startBentNode(ahead.rpcUrl, (method) => {
      if (isAway) return { drop: true }
      return method === 'eth_chainId' ? { result: chainId } : undefined
    })
    const refused: RefusedEndpoint[] = []
    const urls = `${changing.url},${NOBODY}`
    const client = connectChain(chains.local, urls, (one) => refused.push(one))
    expect(await readGasBalance(client, ACCOUNT)).toMatchObject({ status: 'read' })
    isAway = true
    expect(await readGasBalance(client, ACCOUNT)).toMatchObject({ status: 'unreachable' })
    ;[isAway, chainId] = [false, '0x2105']
    expect(await readGasBalance(client, ACCOUNT)).toMatchObject({ status: 'unreachable' })
    expect(refused).toMatchObject([{ endpoint: 0, code: 'wrong_chain' }])
    chainId = '0x7a69'
    expect(await readGasBalance(client, ACCOUNT)).toMatchObject({ status: 'read' })
    changing.close()
  })

  test('may be read where any chain will do, but never together with a second one', async () => {
    const other = await stranger()
    expect(await readChainId(connectAnyChain(other.url))).toMatchObject({ chainId: 1 })
    const client = connectAnyChain(`${other.url},${behind.rpcUrl}`)
    expect(await readGasBalance(client, ACCOUNT)).toMatchObject({ status: 'read' })
    other.close()
    expect(await readGasBalance(client, ACCOUNT)).toMatchObject({ status: 'unreachable' })
  })
})

test('what a node says is its answer: nobody else is asked for a better one', async () => {
  await localClients(ahead.rpcUrl).node.setBalance({ address: ACCOUNT, value: 5n })
  const client = connectChain(chains.local, `${behind.rpcUrl},${ahead.rpcUrl}`)
  expect(await readGasBalance(client, ACCOUNT)).toEqual({ status: 'read', wei: 0n })
})

test('a list may have blanks, and nothing between two commas', () => {
  expect(rpcUrls(' http://a , ,http://b,')).toEqual(['http://a', 'http://b'])
})
