import { readEnvironment } from '@orien/coordinator'
import { describe, expect, test } from 'vitest'
import { readSettings } from '../config.ts'
import { readPublicChain } from './chainProfile.ts'

const token = `0x${'ab'.repeat(20)}`
const read = (env: Record<string, string>) => readPublicChain(readEnvironment(env), readSettings(env))
const evm = {
  ORIEN_CHAIN: 'evm',
  ORIEN_CHAIN_ID: '8453',
  ORIEN_RPC_URL: 'http://127.0.0.1:1/',
  ORIEN_TOKEN: token,
}

describe('a chain by configuration', () => {
  test('Arc and its test network are known by name: id, endpoint, both views of USDC, finality', () => {
    const arc = read({ ORIEN_CHAIN: 'arc' })
    expect(arc.token).toBe('0x3600000000000000000000000000000000000000')
    expect(arc.rpcUrl).toMatch(/^https:/)
    expect(arc.profile).toMatchObject({
      chain: { id: 5042, nativeCurrency: { symbol: 'USDC', decimals: 18 } },
      gasIsUsdc: true,
      finality: { kind: 'depth', blocks: 1n },
    })
    expect(read({ ORIEN_CHAIN: 'arc-testnet' }).profile).toMatchObject({
      chain: { id: 5042002 },
      gasIsUsdc: true,
    })
  })

  test('any other chain is told by settings, and is final by its tag unless told otherwise', () => {
    expect(read(evm)).toMatchObject({
      token,
      rpcUrl: evm.ORIEN_RPC_URL,
      profile: {
        chain: { id: 8453, nativeCurrency: { decimals: 18 } },
        finality: { kind: 'tag' },
        gasIsUsdc: false,
      },
    })
    const told = read({ ...evm, ORIEN_FINALITY: '12', ORIEN_NATIVE_DECIMALS: '8', ORIEN_CHAIN_NAME: 'Base' })
    expect(told.profile).toMatchObject({
      name: 'Base',
      finality: { kind: 'depth', blocks: 12n },
      chain: { nativeCurrency: { decimals: 8 } },
    })
    expect(read({ ...evm, ORIEN_FINALITY: 'finalized' }).profile.finality).toEqual({ kind: 'tag' })
  })

  test('a unit of gas costs what the profile allows at most, unless told otherwise', () => {
    expect(read({ ORIEN_CHAIN: 'arc' }).profile.feeCapWei).toBe(500_000_000_000n)
    expect(read({ ORIEN_CHAIN: 'arc', ORIEN_MAX_FEE_GWEI: '30' }).profile.feeCapWei).toBe(30_000_000_000n)
    expect(read(evm).profile.feeCapWei).toBe(200_000_000_000n)
    expect(read({ ...evm, ORIEN_MAX_FEE_GWEI: '7' }).profile.feeCapWei).toBe(7_000_000_000n)
    expect(() => read({ ...evm, ORIEN_MAX_FEE_GWEI: '0' })).toThrow(/ORIEN_MAX_FEE_GWEI/)
  })

  test.each(['ORIEN_CHAIN_ID', 'ORIEN_RPC_URL', 'ORIEN_TOKEN'])(
    'without %s it is refused by that name',
    (name) => {
      const { [name as keyof typeof evm]: _left, ...rest } = evm
      const refusal = expect.objectContaining({
        code: 'setup_failed',
        message: expect.stringContaining(name),
        facts: expect.objectContaining({ reason: 'chain_not_configured' }),
      })
      expect(() => read(rest)).toThrow(refusal)
    },
  )

  test('a setting that nobody would read, and one that makes no sense, are refused', () => {
    expect(() => read({ ORIEN_CHAIN: 'arc', ORIEN_FINALITY: '12' })).toThrow(
      /ORIEN_FINALITY is for ORIEN_CHAIN=evm/,
    )
    expect(() => read({ ...evm, ORIEN_TOKEN: '0x12' })).toThrow(/ORIEN_TOKEN is not an address/)
    expect(() => read({ ...evm, ORIEN_FINALITY: '0' })).toThrow(/ORIEN_FINALITY/)
    expect(() => read({ ...evm, ORIEN_FINALITY: 'soon' })).toThrow(/ORIEN_FINALITY/)
    expect(() => read({ ...evm, ORIEN_CHAIN_ID: 'base' })).toThrow(/ORIEN_CHAIN_ID/)
    expect(() => read({ ORIEN_CHAIN: 'local' })).toThrow(/local chain/)
  })
})
