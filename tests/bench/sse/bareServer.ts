import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readMemory } from './memory.ts'
import type { ServerReady, ToServer } from './messages.ts'

// The least that can be done: open responses, and the same bytes written to each.
const open = new Set<ServerResponse>()
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  response.write(': connected\n\n')
  open.add(response)
})

function publish(events: number, mark: string): void {
  const data = (sequence: number) => ({
    sequence,
    type: 'voucher.accepted',
    at: new Date(0).toISOString(),
    data: { authorisedMicros: sequence === events ? mark : '0'.repeat(mark.length) },
  })
  for (let sequence = 1; sequence <= events; sequence += 1) {
    const text = `id: ${sequence}\nevent: voucher.accepted\ndata: ${JSON.stringify(data(sequence))}\n\n`
    const chunk = Buffer.from(text)
    setImmediate(() => {
      for (const response of open) response.write(chunk)
    })
  }
}

server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  const { port } = server.address() as AddressInfo
  const message: ServerReady = { ready: { port, path: '/', headers: {} } }
  process.send?.(message)
})
process.on('message', (message: ToServer) => {
  if (message.ask === 'memory') process.send?.(readMemory())
  else publish(message.events, message.mark)
})
process.on('disconnect', () => process.exit(0))
