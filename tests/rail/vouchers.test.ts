import {
  actOnSession,
  channelId,
  execute,
  type Hex,
  micros,
  openNonce,
  openSession,
  SECP256K1_HALF_ORDER,
  type SessionView,
  type Voucher,
  voucherDigest,
  ZERO,
} from '@orien/protocol'
import { signDigest } from '@orien/sdk'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorizationTypes } from '../../packages/contracts/src/index.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
})
afterAll(() => stack.stop())

const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** The other signature that exists for the same digest and key. */
function highS(signature: Hex): Hex {
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  const twin = (SECP256K1_ORDER - s).toString(16).padStart(64, '0')
  return `${signature.slice(0, 66)}${twin}${signature.endsWith('1b') ? '1c' : '1b'}` as Hex
}

const budget = micros(1_000_000n)

/** A session opened and started by hand, with the key in the test's hand. */
async function openByHand(change: (terms: Started) => Partial<Started> = () => ({})) {
  const session = await agent.orien.call(openSession, {
    body: { providerId: node.providerId, budgetMicros: budget, rail: 'escrow' },
  })
  const sessionKey = generatePrivateKey()
  const { payment } = session
  const payer = agent.account.address.toLowerCase() as Hex
  const authorizedSigner = privateKeyToAccount(sessionKey).address.toLowerCase() as Hex
  const { chainId, escrow, token, payee, salt } = payment
  const channel = { chainId, escrow, token, payee, salt, payer, authorizedSigner }
  const window = { validAfter: 0, validBefore: Math.floor(Date.now() / 1000) + 600 }
  const nonce = openNonce(channel)
  const signature = await signDeposit(payment, { from: payer, value: budget, ...window, nonce })
  const started: Started = {
    payer,
    authorizedSigner,
    deposit: { valueMicros: budget, ...window, nonce, signature },
    voucher: sign(channel, ZERO, sessionKey),
  }
  const body = { action: 'start' as const, ...started, ...change(started) }
  const start = () => agent.orien.call(actOnSession, { params: { id: session.id }, body })
  return { session, sessionKey, channel, start }
}

type Started = {
  payer: Hex
  authorizedSigner: Hex
  deposit: { valueMicros: typeof budget; validAfter: number; validBefore: number; nonce: Hex; signature: Hex }
  voucher: Voucher
}

function sign(channel: Parameters<typeof channelId>[0], cumulativeMicros: typeof budget, key: Hex): Voucher {
  return {
    cumulativeMicros,
    signature: signDigest(key, voucherDigest(channel, channelId(channel), cumulativeMicros)),
  }
}

function signDeposit(
  { token, tokenName, tokenVersion, chainId, escrow }: SessionView['payment'],
  message: { from: Hex; value: bigint; validAfter: number; validBefore: number; nonce: Hex },
): Promise<Hex> {
  return agent.account.signTypedData({
    domain: { name: tokenName, version: tokenVersion, chainId, verifyingContract: token },
    types: authorizationTypes,
    primaryType: 'ReceiveWithAuthorization',
    message: {
      ...message,
      to: escrow,
      validAfter: BigInt(message.validAfter),
      validBefore: BigInt(message.validBefore),
    },
  })
}

type Hand = Awaited<ReturnType<typeof openByHand>>

const wrongVouchers: [string, (hand: Hand) => Voucher][] = [
  ['of the wrong chain', ({ channel, sessionKey }) => sign({ ...channel, chainId: 1 }, budget, sessionKey)],
  [
    'of the wrong contract',
    ({ channel, sessionKey }) => sign({ ...channel, escrow: channel.token }, budget, sessionKey),
  ],
  [
    'of the wrong channel',
    ({ channel, sessionKey }) => sign({ ...channel, salt: `0x${'11'.repeat(32)}` }, budget, sessionKey),
  ],
  ['of the wrong signer', ({ channel }) => sign(channel, budget, generatePrivateKey())],
  [
    'of the payer’s wallet instead of the session key',
    ({ channel }) => sign(channel, budget, agent.privateKey),
  ],
  [
    'with a high s',
    ({ channel, sessionKey }) => {
      const voucher = sign(channel, budget, sessionKey)
      return { ...voucher, signature: highS(voucher.signature) }
    },
  ],
  [
    'over another amount than it says',
    ({ channel, sessionKey }) => ({ ...sign(channel, micros(10n), sessionKey), cumulativeMicros: budget }),
  ],
  ['above the deposit', ({ channel, sessionKey }) => sign(channel, micros(1_000_001n), sessionKey)],
]

test.each(wrongVouchers)('a voucher %s is refused before work starts', async (_what, make) => {
  const hand = await openByHand()
  await hand.start()
  const before = node.dispatches.length
  const body = { tool: 'block', args: {}, voucher: make(hand) }
  const attempt = agent.orien.call(execute, { params: { id: hand.session.id }, body })
  await expect(attempt).rejects.toMatchObject({ code: 'voucher_invalid' })
  expect(node.dispatches).toHaveLength(before)
})

test('a voucher that is too low is asked for again, with the amount, and the same key then runs', async () => {
  const hand = await openByHand()
  await hand.start()
  const params = { id: hand.session.id }
  const request = (voucher: Voucher) =>
    agent.orien.call(
      execute,
      { params, body: { tool: 'block', args: {}, voucher } },
      { idempotencyKey: 'raised' },
    )
  const refused = await request(sign(hand.channel, micros(599_999n), hand.sessionKey)).catch(
    (error: unknown) => error,
  )
  expect(refused).toMatchObject({ code: 'voucher_required', facts: { requiredCumulativeMicros: '600000' } })
  expect(await request(sign(hand.channel, micros(600_000n), hand.sessionKey))).toMatchObject({
    status: 'pending',
    holdMicros: 600_000n,
  })
})

test('a session key that is a contract cannot start a session', async () => {
  const hand = await openByHand((started) => ({
    authorizedSigner: stack.chain.escrow.toLowerCase() as Hex,
    voucher: started.voucher,
  }))
  await expect(hand.start()).rejects.toMatchObject({ code: 'deposit_refused' })
  const terms = hand.channel
  const contract = stack.chain.escrow.toLowerCase() as Hex
  const channel = { ...terms, authorizedSigner: contract }
  const nonce = openNonce(channel)
  const window = { validAfter: 0, validBefore: Math.floor(Date.now() / 1000) + 600 }
  const signature = await signDeposit(hand.session.payment, {
    from: terms.payer,
    value: budget,
    ...window,
    nonce,
  })
  const attempt = agent.orien.call(actOnSession, {
    params: { id: hand.session.id },
    body: {
      action: 'start',
      payer: terms.payer,
      authorizedSigner: contract,
      deposit: { valueMicros: budget, ...window, nonce, signature },
      voucher: sign(channel, ZERO, hand.sessionKey),
    },
  })
  await expect(attempt).rejects.toMatchObject({ code: 'voucher_invalid' })
})

const wrongDeposits: [string, string, (started: Started) => Partial<Started>][] = [
  [
    'of another amount',
    'deposit_refused',
    ({ deposit }) => ({ deposit: { ...deposit, valueMicros: micros(999_999n) } }),
  ],
  [
    'with a nonce of other parameters',
    'deposit_refused',
    ({ deposit }) => ({ deposit: { ...deposit, nonce: `0x${'22'.repeat(32)}` } }),
  ],
  ['that has expired', 'deposit_refused', ({ deposit }) => ({ deposit: { ...deposit, validBefore: 1 } })],
  [
    'signed over other times',
    'signature_invalid',
    ({ deposit }) => ({ deposit: { ...deposit, validBefore: deposit.validBefore + 60 } }),
  ],
  [
    'with a high s',
    'signature_invalid',
    ({ deposit }) => ({ deposit: { ...deposit, signature: highS(deposit.signature) } }),
  ],
]

test.each(wrongDeposits)(
  'a deposit %s is refused before anything is sent to the chain',
  async (_what, code, change) => {
    const hand = await openByHand(change)
    await expect(hand.start()).rejects.toMatchObject({ code })
  },
)

test('a wallet without enough USDC is told so at the first execute, and nothing is held', async () => {
  const poor = await createAgent(stack, 10n)
  const session = await poor.orien.openSession({ providerId: node.providerId, budgetMicros: budget })
  await expect(session.execute({ tool: 'block', args: {} })).rejects.toMatchObject({
    code: 'insufficient_funds',
  })
  expect(await session.state()).toMatchObject({ heldMicros: 0n, channelStatus: 'none', executions: 0 })
})

test('half of the curve’s order is the bound of a low s', () => {
  expect(SECP256K1_HALF_ORDER).toBe(SECP256K1_ORDER / 2n)
})
