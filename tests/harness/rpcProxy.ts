import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the way to the chain does: carry on, take nothing in, answer nothing, or say another chain's id. */
type RpcFault = 'none' | 'away' | 'silent' | 'other_chain'

/** Stands between the coordinator and its chain, and breaks as the test says. */
export async function startRpcProxy() {
  const proxy = { fault: 'none' as RpcFault, url: '', to: '', close: () => {} }
  const server = createServer((request, response) => {
    if (proxy.fault === 'away') return void request.socket.destroy()
    if (proxy.fault === 'silent') return
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const body = Buffer.concat(chunks).toString()
      const { method, id } = JSON.parse(body) as { method: string; id: number }
      const isLie = proxy.fault === 'other_chain' && method === 'eth_chainId'
      const answer = isLie
        ? JSON.stringify({ jsonrpc: '2.0', id, result: '0x1' })
        : await fetch(proxy.to, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
            .then((carried) => carried.text())
            .catch(() => '')
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  proxy.close = () => {
    server.closeAllConnections()
    server.close()
  }
  return proxy
}
