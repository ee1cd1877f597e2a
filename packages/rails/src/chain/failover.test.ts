import { afterAll, beforeAll, expect, test } from 'vitest'
import { type AnvilProcess, startAnvil } from '../localChain/anvilProcess.ts'
import { localClients } from '../localChain/rpc.ts'
import { chains } from './chains.ts'
import { connectChain, rpcUrls } from './connect.ts'
import { readGasBalance } from './readGas.ts'
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

test('what a node says is its answer: nobody else is asked for a better one', async () => {
  await localClients(ahead.rpcUrl).node.setBalance({ address: ACCOUNT, value: 5n })
  const client = connectChain(chains.local, `${behind.rpcUrl},${ahead.rpcUrl}`)
  expect(await readGasBalance(client, ACCOUNT)).toEqual({ status: 'read', wei: 0n })
})

test('a list may have blanks, and nothing between two commas', () => {
  expect(rpcUrls(' http://a , ,http://b,')).toEqual(['http://a', 'http://b'])
})
