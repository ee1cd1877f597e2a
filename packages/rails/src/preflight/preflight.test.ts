import { readFileSync } from 'node:fs'
import { orienEscrowAbi } from '@orien/contracts'
import { micros, usdcToGas } from '@orien/protocol'
import { type Address, encodeFunctionResult, type Hex, toFunctionSelector } from 'viem'
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ChainProfile, chains, otherChain } from '../chain/chains.ts'
import { type ChainClient, connectChain } from '../chain/connect.ts'
import { escrowDeployment } from '../escrow/escrowDeployment.ts'
import { openWorld, type World, worldWithToken } from '../escrow/testing/world.ts'
import { startAnvil } from '../localChain/anvilProcess.ts'
import { type ConfiguredChain, checkChain } from './checkChain.ts'
import { checkEndpoints } from './checkEndpoints.ts'
import { CHAIN_FAULTS, type ChainFaultCode } from './finding.ts'
import { startBentNode } from './testing/bentNode.ts'

let world: World
let relayer: Address
beforeAll(async () => {
  world = await openWorld()
  relayer = (await world.actor()).address
})
afterAll(() => world.close())

const seen = new Set<ChainFaultCode>()
const nobody = () => privateKeyToAddress(generatePrivateKey())

async function check(changes: Partial<ConfiguredChain> = {}, client: ChainClient = world.client) {
  const { usdc: token, escrow } = world.chain
  const usual = { profile: chains.local, token, escrow, relayer, nowSeconds: await world.now() }
  return checkChain(client, { ...usual, ...changes })
}

/** The codes of what was found, with how bad each is. */
async function codes(...given: Parameters<typeof check>): Promise<string[]> {
  const findings = await check(...given)
  return findings.flatMap((finding) => {
    if (finding.state === 'ok') return []
    seen.add(finding.code)
    expect(finding.fix).toBe(CHAIN_FAULTS[finding.code])
    return [`${finding.state} ${finding.code}`]
  })
}

type Bending = Parameters<typeof startBentNode>[1]

async function codesThrough(bend: Bending, changes: Partial<ConfiguredChain> = {}): Promise<string[]> {
  const node = await startBentNode(world.chain.rpcUrl, bend)
  try {
    return await codes(changes, node.client)
  } finally {
    node.close()
  }
}

const callOf = (selector: Hex, params: readonly unknown[]) =>
  (params[0] as { data?: string } | undefined)?.data?.startsWith(selector) === true

describe('a chain that is as it should be', () => {
  test('is found so, line by line, and nothing is sent to it', async () => {
    const before = await world.client.getBlockNumber()
    const findings = await check({ terms: { ...(await termsOf()), closeGraceSeconds: 900n } })
    expect(findings.every(({ state }) => state === 'ok')).toBe(true)
    expect(new Set(findings.map(({ check: part }) => part))).toEqual(
      new Set(['node', 'finality', 'token', 'escrow', 'relayer']),
    )
    expect(await world.client.getBlockNumber()).toBe(before)
  })

  test('is found so where gas is paid in USDC, as long as both views show one balance', async () => {
    const profile: ChainProfile = { ...chains.local, gasIsUsdc: true }
    const holder = await world.actor(7_000_000n)
    await world.node.setBalance({ address: holder.address, value: usdcToGas(micros(7_000_000n)) + 5n })
    expect(await codes({ profile, relayer: holder.address })).toEqual([])
    await world.node.setBalance({ address: holder.address, value: usdcToGas(micros(7_000_001n)) })
    expect(await codes({ profile, relayer: holder.address })).toEqual(['fault token_views_differ'])
  })

  const termsOf = async () => {
    const { platform, reserve, usdc: token } = world.chain
    return { platform, reserve, token }
  }
})

describe('a node', () => {
  test('that does not answer, or serves another chain, is named, and nothing else is concluded', async () => {
    const away = connectChain(chains.local, 'http://127.0.0.1:1')
    expect(await codes({}, away)).toEqual(['fault rpc_unreachable'])
    expect(await codes({ profile: chains.arc })).toEqual(['fault wrong_chain'])
  })

  test('that follows its chain no more is a warning: sessions can still be ended', async () => {
    const profile = { ...chains.local, staleAfterSeconds: 60 }
    const nowSeconds = (await world.now()) + 61
    expect(await codes({ profile, nowSeconds })).toEqual(['warning head_old'])
  })

  test.each([
    [-32601, 'the method eth_maxPriorityFeePerGas does not exist/is not available'],
    [-32000, 'Unsupported method: eth_maxPriorityFeePerGas. See available methods'],
    [-32600, 'method is not whitelisted'],
  ])(
    'that lacks a method, as it says by %i, is found without the method being needed',
    async (code, message) => {
      const lacks: Bending = (method) =>
        method === 'eth_getTransactionCount' ? { error: { code, message } } : undefined
      const node = await startBentNode(world.chain.rpcUrl, lacks)
      const findings = await check({}, node.client)
      node.close()
      expect(findings).toContainEqual(
        expect.objectContaining({
          code: 'method_missing',
          detail: expect.stringContaining('eth_getTransactionCount'),
        }),
      )
      expect(await codesThrough(lacks)).toEqual(['fault method_missing'])
    },
  )

  test('that keeps its logs to itself is a fault: no bill could be checked', async () => {
    const error = { code: -32005, message: 'query exceeds max block range 100' }
    const bent = await codesThrough((method) => (method === 'eth_getLogs' ? { error } : undefined))
    expect(bent).toEqual(['fault logs_refused'])
  })

  test.each([{ result: null }, { error: { code: -32602, message: 'invalid block tag' } }])(
    'that does not know the tag by which a chain is final is a fault',
    async (answer) => {
      const { usdc } = world.chain
      const byTag = otherChain({ chainId: 31337, name: 'other', usdc })
      const profile = { ...byTag, staleAfterSeconds: null }
      expect(await codes({ profile })).toEqual([])
      const bend: Bending = (method, params) =>
        method === 'eth_getBlockByNumber' && params[0] === 'finalized' ? answer : undefined
      expect(await codesThrough(bend, { profile })).toEqual(['fault finality_missing'])
    },
  )

  test('without base fees, without Cancun, or with small blocks is told apart', async () => {
    const block = await world.client.request({ method: 'eth_getBlockByNumber', params: ['latest', false] })
    const withBlock = (changes: object): Bending => {
      return (method) =>
        method === 'eth_getBlockByNumber' ? { result: { ...block, ...changes } } : undefined
    }
    expect(await codesThrough(withBlock({ baseFeePerGas: null }))).toEqual(['fault fees_missing'])
    expect(await codesThrough(withBlock({ gasLimit: '0x989680' }))).toEqual(['warning block_gas_low'])
    const error = { code: -32000, message: 'invalid opcode: TLOAD' }
    const isCreation = (method: string, params: readonly unknown[]) =>
      method === 'eth_call' && callOf('0x5f5c', params)
    const old = await codesThrough((method, params) => (isCreation(method, params) ? { error } : undefined))
    expect(old).toEqual(['fault evm_too_old'])
  })
})

describe('a token', () => {
  test('that is not there, or is no token, is a fault', async () => {
    expect(await codes({ token: nobody() })).toContain('fault token_missing')
    expect(await codes({ token: world.chain.escrow })).toContain('fault token_unusual')
  })

  test('of 18 decimals is a fault, whatever else it can do', async () => {
    const token = nobody()
    // Answers every call with 18.
    await world.node.setCode({ address: token, bytecode: '0x60125f5260205ff3' })
    expect(await codes({ token })).toContain('fault token_decimals')
  })

  test('whose domain separator is of another chain is a fault', async () => {
    const selector = toFunctionSelector('DOMAIN_SEPARATOR()')
    const bent = await codesThrough((method, params) =>
      method === 'eth_call' && callOf(selector, params) ? { result: `0x${'11'.repeat(32)}` } : undefined,
    )
    expect(bent).toEqual(['fault token_domain_differs'])
  })
})

describe('an escrow', () => {
  test('that is not named, or not there, is a fault that says how to deploy one', async () => {
    expect(await codes({ escrow: null })).toEqual(['fault escrow_unknown'])
    expect(await codes({ escrow: nobody() })).toEqual(['fault escrow_missing'])
  })

  test('of another code by one bit, or of something else entirely, is a fault', async () => {
    const code = await world.client.getCode({ address: world.chain.escrow })
    if (code === undefined) return expect.fail('the escrow stands there')
    const flip = (at: number) => {
      const digit = (Number.parseInt(code.charAt(at), 16) ^ 1).toString(16)
      return `${code.slice(0, at)}${digit}${code.slice(at + 1)}` as Hex
    }
    const copies = [
      flip(2),
      flip(4_000),
      flip(code.length - 1),
      `${code}00`,
      code.slice(0, -2),
      '0x00',
    ] as Hex[]
    for (const bytecode of copies) {
      const escrow = nobody()
      await world.node.setCode({ address: escrow, bytecode })
      expect(await codes({ escrow }), bytecode.slice(-8)).toEqual(['fault escrow_code_differs'])
    }
    expect(await codes({ escrow: world.chain.usdc })).toEqual(['fault escrow_code_differs'])
  })

  test('of the right code at an address that proves nothing is a fault: agents would refuse it', async () => {
    const { chain } = await worldWithToken(world, await world.actor(), world.chain.usdc)
    expect(await codes({ escrow: chain.escrow })).toEqual(['fault escrow_code_differs'])
  })

  test('whose code pays others than it tells is a fault', async () => {
    const selector = toFunctionSelector('platform()')
    const told = encodeFunctionResult({ abi: orienEscrowAbi, functionName: 'platform', result: nobody() })
    const bent = await codesThrough((method, params) =>
      method === 'eth_call' && callOf(selector, params) ? { result: told } : undefined,
    )
    expect(bent).toEqual(['fault escrow_code_differs'])
  })

  test('of another token, or of another platform, reserve or grace period than was recorded, is a fault', async () => {
    const deployer = await world.actor()
    const { platform, reserve, usdc: token } = world.chain
    const foreign = { token: nobody(), platform, reserve, closeGraceSeconds: 900n }
    const { address, call } = escrowDeployment(foreign)
    expect(await world.send(deployer, call.to, call.data)).toMatchObject({ status: 'ok' })
    expect(await codes({ escrow: address })).toEqual(['fault escrow_token_differs'])
    const terms = { ...foreign, token }
    expect(await codes({ terms })).toEqual([])
    for (const changed of [{ platform: nobody() }, { reserve: nobody() }, { closeGraceSeconds: 60n }]) {
      expect(await codes({ terms: { ...terms, ...changed } })).toEqual(['fault escrow_terms_differ'])
    }
  })

  test('that is signed for under another name is a fault', async () => {
    const result = [
      '0x0f',
      'EVM Payment Channel',
      '2',
      31337n,
      world.chain.escrow,
      `0x${'00'.repeat(32)}`,
      [],
    ] as const
    const told = encodeFunctionResult({ abi: orienEscrowAbi, functionName: 'eip712Domain', result })
    const selector = toFunctionSelector('eip712Domain()')
    const bent = await codesThrough((method, params) =>
      method === 'eth_call' && callOf(selector, params) ? { result: told } : undefined,
    )
    expect(bent).toEqual(['fault escrow_domain_differs'])
  })
})

test('a relayer that cannot pay its dearest transaction is a warning, in the coin of its chain', async () => {
  const poor = nobody()
  expect(await codes({ relayer: poor })).toEqual(['warning relayer_without_gas'])
  const findings = await check({ relayer: poor })
  const { symbol } = chains.local.chain.nativeCurrency
  const detail = expect.stringMatching(new RegExp(`has 0 ${symbol}, and 600000 gas may take 0.06$`))
  expect(findings).toContainEqual(expect.objectContaining({ code: 'relayer_without_gas', detail }))
})

test('of several endpoints one of another chain is a fault, and those that are silent or behind are warnings', async () => {
  const stranger = (method: string) => (method === 'eth_chainId' ? { result: '0x1' } : undefined)
  const behind = await startAnvil({ port: 0 })
  const other = await startBentNode(world.chain.rpcUrl, stranger)
  await world.node.mine({ blocks: 5 })
  const urls = [behind.rpcUrl, world.chain.rpcUrl, other.url, 'http://127.0.0.1:9']
  const findings = await checkEndpoints(chains.local, urls.join(','))
  for (const finding of findings) if (finding.state !== 'ok') seen.add(finding.code)
  expect(findings).toMatchObject([
    { state: 'warning', code: 'endpoint_behind' },
    { state: 'ok' },
    {
      state: 'fault',
      code: 'wrong_chain',
      detail: expect.stringContaining('endpoint 3 of 4 serves chain 1'),
    },
    { state: 'warning', code: 'endpoint_silent' },
  ])
  expect(findings.filter(({ detail }) => detail.includes('127.0.0.1:'))).toEqual([])
  expect(await checkEndpoints(chains.local, behind.rpcUrl)).toEqual([])
  other.close()
  await behind.stop()
})

test('every code is provoked here, and docs/chains.md tells the operator of it', () => {
  const all = Object.keys(CHAIN_FAULTS).toSorted()
  expect([...seen].toSorted()).toEqual(all)
  const page = readFileSync(new URL('../../../../docs/chains.md', import.meta.url), 'utf8')
  expect(all.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([])
})
