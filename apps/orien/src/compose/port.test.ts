import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { freePort, requirePort } from './port.ts'

/** Takes a port of the IPv6 loopback address alone; null on a machine without one. */
async function takeIpv6(): Promise<{ port: number; release: () => void } | null> {
  const server = createServer().listen({ port: 0, host: '::1' })
  const outcome = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ])
  const address = server.address()
  if (!outcome || typeof address !== 'object' || address === null) return null
  return { port: address.port, release: () => void server.close() }
}

test('a free port is free on both loopback addresses: localhost never leads to somebody else', async () => {
  const taken = await takeIpv6()
  const free = await freePort()
  expect(await requirePort(free)).toMatch(/^(localhost|127\.0\.0\.1)$/)
  if (taken === null) return
  const draws = [taken.port, free]
  expect(await freePort(async () => draws.shift() ?? 0)).toBe(free)
  const refusal = { code: 'setup_failed', facts: { reason: 'port_taken' } }
  await expect(requirePort(taken.port)).rejects.toMatchObject(refusal)
  taken.release()
})
