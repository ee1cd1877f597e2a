import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { assertChain, chainClient } from './chainClient.ts'
import { endpointsOf } from './endpoints.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** An endpoint that serves one chain, and counts what it is asked. */
async function endpoint(chainId: number) {
  const state = { asked: 0, isAway: false, url: '' }
  const server = createServer((request, response) => {
    if (state.isAway) return void request.socket.destroy()
    let body = ''
    request.on('data', (piece: Buffer) => {
      body += piece
    })
    request.on('end', () => {
      const { id, method } = JSON.parse(body) as { id: number; method: string }
      if (method !== 'eth_chainId') state.asked += 1
      const answers: Record<string, unknown> = {
        eth_chainId: { result: `0x${chainId.toString(16)}` },
        eth_blockNumber: { result: '0x10' },
        eth_sendRawTransaction: { error: { code: -32_000, message: 'nonce too low' } },
      }
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(answers[method] as object) }))
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
}

test('a list is read with or without blanks', () => {
  expect(endpointsOf(' http://a , ,http://b,')).toEqual(['http://a', 'http://b'])
})

test('an endpoint that is away is left for the next one, and asked again when that is away', async () => {
  const [first, second] = [await endpoint(7), await endpoint(7)]
  const client = await chainClient(`${first.url},${second.url}`)
  await client.getBlockNumber({ cacheTime: 0 })
  first.isAway = true
  await client.getBlockNumber({ cacheTime: 0 })
  await client.getBlockNumber({ cacheTime: 0 })
  expect([first.asked, second.asked]).toEqual([1, 2])
  first.isAway = false
  second.isAway = true
  await client.getBlockNumber({ cacheTime: 0 })
  expect(first.asked).toBe(2)
})

test('an endpoint of another chain is asked nothing but its chain, also as the first of the list', async () => {
  const [wrong, right] = [await endpoint(8), await endpoint(7)]
  const list = `${wrong.url},${right.url}`
  await assertChain(list, 7)
  await (await chainClient(list)).getBlockNumber({ cacheTime: 0 })
  expect([wrong.asked, right.asked]).toEqual([0, 1])
  right.isAway = true
  const question = (await chainClient(list)).getBlockNumber({ cacheTime: 0 })
  await expect(question).rejects.toThrow()
  expect(wrong.asked).toBe(0)
})

test('what an endpoint refuses is its word, and no other one is asked', async () => {
  const [first, second] = [await endpoint(7), await endpoint(7)]
  const client = await chainClient(`${first.url},${second.url}`)
  await expect(client.sendRawTransaction({ serializedTransaction: '0x02' })).rejects.toThrow()
  expect(second.asked).toBe(0)
})
