import {
  add,
  type Bill,
  canonicalJson,
  channelId,
  jwsHash,
  makeJws,
  micros,
  printBill,
  readReceipt,
  sessionSalt,
  splitCumulative,
  splitDelta,
  subtract,
  voucherDigest,
  ZERO,
} from '@orien/protocol'
import { describe, expect, it } from 'vitest'
import { readChainTime, readChannelState } from '../channel/readChannelState.ts'
import { publicKeyOfSeed, signWithSeed } from '../keys/ed25519.ts'
import { addressOfKey, signDigest } from '../keys/secp256k1.ts'
import { type ChainState, startChainStandIn } from '../testing/chainStandIn.ts'
import {
  CHAIN_ID,
  ESCROW,
  lower,
  makeProvider,
  newId,
  TOKEN,
  walletOf,
  wordOf,
} from '../testing/providerStandIn.ts'
import { verifyBillText } from './verifyBillText.ts'

const provider = await makeProvider('bill')
const coordinatorSeed = new Uint8Array(32).fill(5)
const coordinatorKey = publicKeyOfSeed(coordinatorSeed)
const sessionKey = wordOf('session key')
const sessionId = newId('session')
const deposit = micros(1_000_000n)

const channel = {
  chainId: CHAIN_ID,
  escrow: ESCROW,
  token: TOKEN,
  payer: lower(walletOf('payer').address),
  payee: provider.payout,
  salt: sessionSalt(sessionId),
  authorizedSigner: addressOfKey(sessionKey),
}

function makeReceipts(runsMs: readonly number[]): string[] {
  const receipts: string[] = []
  let cumulativeBefore = ZERO
  for (const effectiveMs of runsMs) {
    const jws = provider.receipt({
      executionId: newId('execution'),
      sessionId,
      channelId: channelId(channel),
      sequence: receipts.length + 1,
      previous: jwsHash(receipts.at(-1) ?? provider.offerText),
      cumulativeBefore,
      effectiveMs,
      holdMicros: micros(600_000n),
    })
    receipts.push(jws)
    cumulativeBefore = readReceipt(jws)?.receipt.cumulativeMicros ?? cumulativeBefore
  }
  return receipts
}

const receipts = makeReceipts([1_501, 7, 2_333])
const last = receipts.at(-1) ?? ''
const consumedMicros = readReceipt(last)?.receipt.cumulativeMicros ?? ZERO
const CLOSED_AT = 42

const bill: Bill = {
  v: 1,
  kind: 'orien-bill',
  sessionId,
  channel,
  depositMicros: deposit,
  registration: provider.view.registration,
  offer: provider.offerText,
  coordinatorKey,
  receipts,
  countersignature: makeJws(
    'orien-countersignature+jws',
    coordinatorKey,
    { v: 1, receiptHash: jwsHash(last), recordedAt: '2026-11-23T04:00:00.000Z' },
    signWithSeed(coordinatorSeed),
  ),
  voucher: {
    cumulativeMicros: consumedMicros,
    signature: signDigest(sessionKey, voucherDigest(channel, channelId(channel), consumedMicros)),
  },
  consumedMicros,
  settlement: {
    txHash: wordOf(`transaction ${CLOSED_AT}`),
    blockNumber: CLOSED_AT,
    ...splitCumulative(consumedMicros),
    refundedMicros: subtract(deposit, consumedMicros),
  },
}
const text = printBill(bill)

/** A settlement in two payouts, as the contract's logs tell it. */
function chainState(change: Partial<ChainState> = {}): ChainState {
  const partial = micros(10_000n)
  const first = splitCumulative(partial)
  const rest = splitDelta(partial, consumedMicros)
  return {
    chainId: CHAIN_ID,
    timestamp: 1_764_000_000,
    blockNumber: 50,
    channel: { terms: channel, deposit, settled: consumedMicros, closeRequestedAt: 0n, finalized: true },
    logs: [
      { event: 'ChannelOpened', blockNumber: 10, amounts: [deposit] },
      {
        event: 'ChannelSettled',
        blockNumber: 20,
        amounts: [partial, first.providerMicros, first.platformMicros, first.reserveMicros],
      },
      {
        event: 'ChannelSettled',
        blockNumber: CLOSED_AT,
        amounts: [consumedMicros, rest.providerMicros, rest.platformMicros, rest.reserveMicros],
      },
      {
        event: 'ChannelClosed',
        blockNumber: CLOSED_AT,
        amounts: [consumedMicros, subtract(deposit, consumedMicros)],
      },
    ],
    ...change,
  }
}

async function verdictOn(state: ChainState, given = text) {
  await using chain = await startChainStandIn(state)
  const { verdict, failure } = await verifyBillText(given, { rpcUrl: chain.url })
  return { verdict, line: failure?.line }
}

describe('a bill’s text', () => {
  it('is consistent without a chain and verified with one', async () => {
    expect((await verifyBillText(text)).verdict).toBe('consistent')
    expect(await verdictOn(chainState())).toEqual({ verdict: 'verified', line: undefined })
  })

  it('is verified on a chain that answers only for a few blocks at a time', async () => {
    const far = 35_000
    const logs = chainState().logs.map((log) => ({ ...log, blockNumber: log.blockNumber + far }))
    const settlement = bill.settlement && {
      ...bill.settlement,
      blockNumber: CLOSED_AT + far,
      txHash: wordOf(`transaction ${CLOSED_AT + far}`),
    }
    const moved = printBill({ ...bill, ...(settlement ? { settlement } : {}) })
    const state = chainState({ logs, blockNumber: far + 12_000, maxRange: 9_999 })
    expect(await verdictOn(state, moved)).toEqual({ verdict: 'verified', line: undefined })
  })

  it('that contradicts itself is rejected without asking the chain', async () => {
    await using chain = await startChainStandIn(chainState())
    const wrong = printBill({ ...bill, consumedMicros: add(consumedMicros, micros(1n)) })
    const { failure } = await verifyBillText(wrong, { rpcUrl: chain.url })
    expect(failure?.line).toBe('consumedMicros')
    expect(chain.requests).toEqual([])
  })

  it('that is no bill is rejected, never thrown on', async () => {
    for (const other of [
      '',
      'null',
      '{}',
      canonicalJson({ v: 1, kind: 'orien-bill' }),
      text.replace('"v":1', '"v":2'),
    ]) {
      expect((await verifyBillText(other)).verdict).toBe('rejected')
    }
  })

  it('is checked against what the verifier knows by itself', async () => {
    const known = { pinnedCoordinatorKey: coordinatorKey, pinnedEscrow: ESCROW }
    expect((await verifyBillText(text, known)).verdict).toBe('consistent')
    const stranger = await verifyBillText(text, { ...known, pinnedEscrow: TOKEN })
    expect(stranger.failure?.line).toBe('channel.escrow')
    const other = await verifyBillText(text, { ...known, pinnedCoordinatorKey: provider.nodeKey })
    expect(other.failure?.line).toBe('coordinatorKey')
  })
})

describe('a bill that the chain does not bear out', () => {
  const { channel: onChain } = chainState()
  if (!onChain) throw new TypeError('the chain has the channel')

  it.each([
    ['has no such channel', { channel: null }, 'channel'],
    ['has not closed it', { channel: { ...onChain, finalized: false } }, 'settlement'],
    ['holds another deposit', { channel: { ...onChain, deposit: deposit + 1n } }, 'depositMicros'],
    ['paid another sum', { channel: { ...onChain, settled: consumedMicros + 1n } }, 'consumedMicros'],
    ['has another payer', { channel: { ...onChain, terms: { ...channel, payer: TOKEN } } }, 'channel.payer'],
    ['has no closing transaction', { logs: [] }, 'settlement.txHash'],
  ] as [string, Partial<ChainState>, string][])(
    'because it %s is rejected there',
    async (_, change, line) => {
      expect(await verdictOn(chainState(change))).toEqual({ verdict: 'rejected', line })
    },
  )

  it('because its logs split otherwise is rejected there', async () => {
    const { logs } = chainState()
    const wrong = logs.map((log) =>
      log.event === 'ChannelSettled' && log.blockNumber === CLOSED_AT
        ? { ...log, amounts: log.amounts.map((amount, index) => (index === 1 ? amount - 1n : amount)) }
        : log,
    )
    expect(await verdictOn(chainState({ logs: wrong }))).toMatchObject({ line: 'settlement.providerMicros' })
  })

  it('cannot be told from a chain that does not answer, or is another one: that is an error, not a verdict', async () => {
    await expect(verdictOn(chainState({ chainId: 1 }))).rejects.toMatchObject({ code: 'chain_unavailable' })
    const call = verifyBillText(text, { rpcUrl: 'http://127.0.0.1:9/' })
    await expect(call).rejects.toMatchObject({ code: 'chain_unavailable' })
  })

  it('does not show the endpoint’s address, which may hold a key, in its error', async () => {
    const call = verifyBillText(text, { rpcUrl: 'http://127.0.0.1:9/secret-key' })
    await expect(call).rejects.toThrow(/^(?!.*secret-key)/)
  })
})

describe('a channel as the chain has it', () => {
  it('comes with addresses in small letters and amounts as they are', async () => {
    await using chain = await startChainStandIn(chainState())
    const { payer, payee, token, authorizedSigner } = channel
    expect(await readChannelState(chain.url, channel)).toEqual({
      payer,
      payee,
      token,
      authorizedSigner,
      depositMicros: deposit,
      settledMicros: consumedMicros,
      closeRequestedAt: 0,
      finalized: true,
    })
    expect(await readChainTime(chain.url)).toBe(1_764_000_000)
  })

  it('is null when there is none', async () => {
    await using chain = await startChainStandIn(chainState({ channel: null }))
    expect(await readChannelState(chain.url, channel)).toBeNull()
  })
})
