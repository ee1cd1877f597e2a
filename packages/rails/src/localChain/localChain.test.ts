import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fiatTokenAbi, orienEscrowAbi } from '@orien/contracts'
import { type Address, domainSeparator } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAnvil } from './anvilProcess.ts'
import { ensureUsdc } from './deployUsdc.ts'
import { attachLocalChain, type LocalChain, startLocalChain } from './localChain.ts'
import { localClients } from './rpc.ts'

const newAddress = (): Address => privateKeyToAccount(generatePrivateKey()).address

const balance = ({ rpcUrl, usdc }: LocalChain, account: Address) =>
  localClients(rpcUrl).reader.readContract({
    address: usdc,
    abi: fiatTokenAbi,
    functionName: 'balanceOf',
    args: [account],
  })

/** Whether the process is there; one that has ended but is not yet collected is not. */
function lives(pid: number | undefined): boolean {
  const file = `/proc/${pid}/stat`
  return existsSync(file) && !/\) [ZX] /.test(readFileSync(file, 'utf8'))
}

/** A method of anvil's own. */
type AnyCall = { Parameters: unknown[]; ReturnType: unknown }

describe('a local chain', () => {
  let chain: LocalChain
  beforeAll(async () => {
    chain = await startLocalChain({ closeGraceSeconds: 77n })
  })
  afterAll(() => chain.stop())

  test('has Circle’s USDC, which takes the domain that is exported', async () => {
    const { reader } = localClients(chain.rpcUrl)
    const call = { address: chain.usdc, abi: fiatTokenAbi } as const
    const domain = { ...chain.usdcDomain, chainId: chain.chainId, verifyingContract: chain.usdc }
    const onChain = await reader.readContract({ ...call, functionName: 'DOMAIN_SEPARATOR' })
    expect(onChain).toBe(domainSeparator({ domain }))
  })

  test('has the escrow with its platform, reserve and grace period', async () => {
    const { reader } = localClients(chain.rpcUrl)
    const call = { address: chain.escrow, abi: orienEscrowAbi } as const
    expect(await reader.readContract({ ...call, functionName: 'platform' })).toBe(chain.platform)
    expect(await reader.readContract({ ...call, functionName: 'reserve' })).toBe(chain.reserve)
    expect(await reader.readContract({ ...call, functionName: 'CLOSE_GRACE_PERIOD' })).toBe(77n)
  })

  test('serves twenty callers of the faucet at once', async () => {
    const accounts = Array.from({ length: 20 }, newAddress)
    await Promise.all(accounts.map((account) => chain.mint(account, 5n)))
    await Promise.all(accounts.map((account) => chain.fund(account)))
    expect(await Promise.all(accounts.map((account) => balance(chain, account)))).toEqual(Array(20).fill(5n))
  })

  test('is the same for those who attach to it, and outlives them', async () => {
    const { mint, fund, stop, pid, ...facts } = chain
    const attached = await attachLocalChain(chain.rpcUrl, 77n)
    expect(attached).toMatchObject(facts)
    await attached.stop()
    expect(lives(pid)).toBe(true)
    const account = newAddress()
    await attached.mint(account, 3n)
    expect(await balance(chain, account)).toBe(3n)
  })

  test('gets a second escrow for other terms, and keeps the first', async () => {
    const attached = await attachLocalChain(chain.rpcUrl, 78n)
    expect(attached.escrow).not.toBe(chain.escrow)
    expect((await attachLocalChain(chain.rpcUrl, 77n)).escrow).toBe(chain.escrow)
  })
})

describe('stopping', () => {
  test('ends the process, and does nothing the second time', async () => {
    const chain = await startLocalChain()
    expect(lives(chain.pid)).toBe(true)
    await chain.stop()
    await chain.stop()
    expect(lives(chain.pid)).toBe(false)
    await expect(attachLocalChain(chain.rpcUrl)).rejects.toMatchObject({ code: 'chain_unavailable' })
  })

  test('happens by a signal too, and a signal given before starts nothing', async () => {
    const controller = new AbortController()
    const chain = await startLocalChain({ signal: controller.signal })
    controller.abort()
    await expect.poll(() => lives(chain.pid)).toBe(false)
    await expect(startLocalChain({ signal: controller.signal })).rejects.toThrow('aborted')
  })

  test.runIf(process.platform === 'linux')('happens when the parent is killed with -9', async () => {
    const program = fileURLToPath(new URL('fixtures/holdChain.ts', import.meta.url))
    const parent = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
    const [line] = await once(createInterface({ input: parent.stdout }), 'line')
    const { pid } = JSON.parse(String(line)) as { pid: number }
    expect(lives(pid)).toBe(true)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    await expect.poll(() => lives(pid), { timeout: 10_000 }).toBe(false)
  })
})

describe('a chain with a state file', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orien-chain-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('goes on where it stopped, with the same contracts and balances', async () => {
    const statePath = join(folder, 'state.json')
    const account = newAddress()
    const first = await startLocalChain({ statePath })
    await first.mint(account, 42n)
    const blockBefore = await localClients(first.rpcUrl).reader.getBlockNumber()
    await first.stop()
    const second = await startLocalChain({ statePath })
    expect([second.usdc, second.escrow]).toEqual([first.usdc, first.escrow])
    expect(await balance(second, account)).toBe(42n)
    expect(await localClients(second.rpcUrl).reader.getBlockNumber()).toBe(blockBefore)
    await second.stop()
  })
})

describe('setting up', () => {
  test('continues where it was cut off', async () => {
    const anvil = await startAnvil({ port: 0 })
    const clients = localClients(anvil.rpcUrl)
    await ensureUsdc(clients)
    await clients.reader.request<AnyCall>({ method: 'anvil_rollback', params: [5] })
    const chain = await attachLocalChain(anvil.rpcUrl)
    const account = newAddress()
    await chain.mint(account, 1n)
    expect(await balance(chain, account)).toBe(1n)
    await anvil.stop()
  })

  test('does not touch a chain that is not a local one', async () => {
    const anvil = await startAnvil({ port: 0 })
    const clients = localClients(anvil.rpcUrl)
    await clients.reader.request<AnyCall>({ method: 'anvil_setChainId', params: [5042] })
    await expect(attachLocalChain(anvil.rpcUrl)).rejects.toMatchObject({ code: 'setup_failed' })
    expect(await clients.reader.getBlockNumber()).toBe(0n)
    await anvil.stop()
  })

  test('on a port that is taken says so, and leaves no process', async () => {
    const anvil = await startAnvil({ port: 0 })
    const port = Number(new URL(anvil.rpcUrl).port)
    await expect(startAnvil({ port })).rejects.toMatchObject({ code: 'setup_failed' })
    await anvil.stop()
  })
})

test('with a block time, blocks come without transactions', async () => {
  const chain = await startLocalChain({ blockTimeSeconds: 1 })
  const { reader } = localClients(chain.rpcUrl)
  const start = await reader.getBlockNumber()
  await expect.poll(() => reader.getBlockNumber({ cacheTime: 0 }), { timeout: 10_000 }).toBeGreaterThan(start)
  await chain.stop()
})
