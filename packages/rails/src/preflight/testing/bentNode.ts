import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chains } from '../../chain/chains.ts'
import { connectChain } from '../../chain/connect.ts'

/** What a node says instead of the truth. */
type Bend = { result: unknown } | { error: { code: number; message: string } } | { drop: true }

/** A node in front of a real one, which passes on all but what `bend` answers itself. */
export async function startBentNode(
  rpcUrl: string,
  bend: (method: string, params: readonly unknown[]) => Bend | undefined,
) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const body = Buffer.concat(chunks).toString()
      const { method, id, params } = JSON.parse(body) as { method: string; id: number; params?: unknown[] }
      const bent = bend(method, params ?? [])
      if (bent && 'drop' in bent) return void request.socket.destroy()
      const headers = { 'content-type': 'application/json' }
      const answer = bent
        ? JSON.stringify({ jsonrpc: '2.0', id, ...bent })
        : await fetch(rpcUrl, { method: 'POST', body, headers }).then((carried) => carried.text())
      response.writeHead(200, headers).end(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    client: connectChain(chains.local, url),
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
