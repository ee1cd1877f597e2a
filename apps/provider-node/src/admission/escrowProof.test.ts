import { createServer, type Socket } from 'node:net'
import type { Hex } from '@orien/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { DEFAULT_TIMING } from '../limits.ts'
import { silentLog } from '../log.ts'
import { startNode } from '../node/startNode.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startCoordinator } from '../testing/coordinator.ts'
import { CHAIN, makeDataDir, nodeOptions, removeDir } from '../testing/node.ts'
import { type RpcFacts, startRpcStandIn } from '../testing/rpc.ts'
import { channelReader, escrowProver } from './escrowProof.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function rpcOf(facts: RpcFacts): Promise<string> {
  const { url, close } = await startRpcStandIn(facts)
  closers.push(close)
  return url
}

const told: string[] = []
const log = { ...silentLog, warn: (line: object) => void told.push(String('event' in line && line.event)) }
const prove = (rpcUrl: string, timing = DEFAULT_TIMING) =>
  escrowProver(rpcUrl, CHAIN, { clock: systemClock, timing, log })()

const STRANGE: [string, RpcFacts, string][] = [
  ['of another chain', { chainId: 1 }, 'other_chain'],
  ['without a contract there', { code: '0x' }, 'escrow_not_genuine'],
  ['with another token', { terms: { token: `0x${'ab'.repeat(20)}` } }, 'escrow_not_genuine'],
  ['with another platform', { terms: { platform: `0x${'ab'.repeat(20)}` } }, 'escrow_not_genuine'],
  ['with a shorter grace', { terms: { closeGraceSeconds: 1n } }, 'escrow_not_genuine'],
]

describe('a node that asks its own RPC about the escrow', () => {
  test('goes on where it is the contract, on the chain and with the token that it was made for', async () => {
    await expect(prove(await rpcOf({}))).resolves.toBeUndefined()
    expect(told).toEqual([])
  })

  test.each(STRANGE)('refuses one %s, for good and with its reason', async (_, facts, reason) => {
    await expect(prove(await rpcOf(facts))).rejects.toMatchObject({
      code: 'setup_failed',
      facts: { reason, retryable: false },
    })
  })

  test('proves nothing by one that is not there or does not answer, says so, and goes on', async () => {
    await prove('http://127.0.0.1:1', { ...DEFAULT_TIMING, escrowProofMs: 5_000 })
    const held: Socket[] = []
    const silent = createServer((socket) => void held.push(socket))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    closers.push(() => {
      for (const socket of held) socket.destroy()
      return new Promise((resolve) => silent.close(resolve))
    })
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : 0
    await prove(`http://127.0.0.1:${port}`, { ...DEFAULT_TIMING, escrowProofMs: 1 })
    expect(told.splice(0)).toEqual(['escrow.unproven', 'escrow.unproven'])
  })

  test('reads no channel of another contract, whatever deposit that shows', async () => {
    const coordinator = await startCoordinator()
    closers.push(coordinator.close)
    const dataDir = await makeDataDir(coordinator.url)
    closers.push(() => removeDir(dataDir))
    const { readChannel: _, ...options } = nodeOptions(dataDir)
    const rpcUrl = await rpcOf({ terms: { reserve: `0x${'ab'.repeat(20)}` } })
    const node = await startNode({ ...options, rpcUrl, driver: createProcessDriver(), allowUnisolated: true })
    closers.push(node.stop)
    await expect(node.live).rejects.toMatchObject({ code: 'setup_failed' })
    expect(coordinator.received).toEqual([])
    expect(node.health().link).toMatchObject({ refusal: { code: 'setup_failed' } })
    const someone: Hex = `0x${'11'.repeat(20)}`
    const salt: Hex = `0x${'44'.repeat(32)}`
    const channel = { ...CHAIN, payer: someone, payee: someone, authorizedSigner: someone, salt }
    await expect(channelReader(rpcUrl)(channel)).rejects.toMatchObject({ code: 'signature_invalid' })
  })
})
