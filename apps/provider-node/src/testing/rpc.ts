import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeFunctionData, encodeFunctionResult, type Hex, parseAbi, toHex } from 'viem'
import { CHAIN, ESCROW_TERMS } from './node.ts'

const TERMS_ABI = parseAbi([
  'function token() view returns (address)',
  'function platform() view returns (address)',
  'function reserve() view returns (address)',
  'function CLOSE_GRACE_PERIOD() view returns (uint64)',
])

/** What a stand-in for a chain's RPC says of itself and of the contract at the escrow's address. */
export type RpcFacts = { chainId?: number; code?: Hex; terms?: Partial<typeof ESCROW_TERMS> }

function answer(
  method: string,
  params: unknown[],
  { chainId = CHAIN.chainId, code = '0x60', terms }: RpcFacts,
) {
  const { token, platform, reserve, closeGraceSeconds } = { ...ESCROW_TERMS, ...terms }
  const results = { token, platform, reserve, CLOSE_GRACE_PERIOD: closeGraceSeconds }
  switch (method) {
    case 'eth_chainId':
      return toHex(chainId)
    case 'eth_getCode':
      return code
    case 'eth_call': {
      const [{ data }] = params as [{ data: Hex }]
      const { functionName } = decodeFunctionData({ abi: TERMS_ABI, data })
      return encodeFunctionResult({ abi: TERMS_ABI, functionName, result: results[functionName] as never })
    }
    default:
      return null
  }
}

/** Speaks as much of a chain's RPC as the proof of an escrow asks for; genuine unless told. */
export async function startRpcStandIn(
  facts: RpcFacts = {},
): Promise<{ url: string; close(): Promise<unknown> }> {
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (part) => {
      text += part
    })
    request.on('end', () => {
      const { id, method, params } = JSON.parse(text) as { id: number; method: string; params: unknown[] }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: answer(method, params, facts) }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}
