import {
  type ChainFinding,
  chains,
  type LocalChain,
  signerFromPrivateKey,
  startLocalChain,
} from '@orien/rails'
import { pino } from 'pino'
import { generatePrivateKey } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ChainSettings, openChain } from './chain.ts'
import { systemClock } from './clock.ts'

let local: LocalChain
beforeAll(async () => {
  local = await startLocalChain()
})
afterAll(() => local.stop())

type Line = { event: string } & Partial<ChainFinding>

async function open(changes: Partial<ChainSettings> = {}) {
  const lines: Line[] = []
  const log = pino({ level: 'error' }, { write: (line) => lines.push(JSON.parse(line) as Line) })
  const signer = signerFromPrivateKey(local.relayerPrivateKey)
  const { rpcUrl, escrow, usdc: token } = local
  const settings = { profile: chains.local, rpcUrl, escrow, token, signer, ...changes }
  const opened = openChain(settings, { clock: systemClock, log })
  const outcome = await opened.then(
    ({ terms }) => ({ terms, refusal: null }),
    (refusal: unknown) => ({ refusal, terms: null }),
  )
  return { ...outcome, lines }
}

test('a chain on which money can be handled is opened without a word', async () => {
  const { terms, lines } = await open()
  expect(terms).toMatchObject({ chainId: 31_337, token: local.usdc.toLowerCase(), closeGraceMs: 900_000 })
  expect(lines).toEqual([])
})

test('a coordinator whose escrow is another contract refuses to start, by code and remedy, and logs it', async () => {
  const { refusal, lines } = await open({ escrow: local.usdc })
  expect(refusal).toMatchObject({
    code: 'setup_failed',
    message: expect.stringContaining('escrow_code_differs'),
    facts: { reason: 'escrow_code_differs', hint: expect.stringContaining('orien chain deploy') },
  })
  expect(lines).toMatchObject([{ event: 'chain.finding', state: 'fault', code: 'escrow_code_differs' }])
})

test('an escrow that pays others than was recorded at its deployment is refused at the start', async () => {
  const { platform, usdc: token } = local
  const escrowTerms = { token, platform, reserve: platform, closeGraceSeconds: 900n }
  const { refusal } = await open({ escrowTerms })
  expect(refusal).toMatchObject({ facts: { reason: 'escrow_terms_differ' } })
})

test('a chain that is away is no wrong configuration: the start may be tried again', async () => {
  const { refusal } = await open({ rpcUrl: 'http://127.0.0.1:1' })
  expect(refusal).toMatchObject({ code: 'chain_unavailable' })
})

test('a relayer without gas is told loudly and does not keep sessions from being ended', async () => {
  const { terms, lines } = await open({ signer: signerFromPrivateKey(generatePrivateKey()) })
  expect(terms).toMatchObject({ chainId: 31_337 })
  expect(lines).toMatchObject([{ event: 'chain.finding', state: 'warning', code: 'relayer_without_gas' }])
})
