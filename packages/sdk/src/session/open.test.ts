import { micros, type ProviderView, type SessionView, sessionSalt } from '@orien/protocol'
import { describe, expect, it } from 'vitest'
import { startChainStandIn } from '../testing/chainStandIn.ts'
import { type Lies, startCoordinatorStandIn } from '../testing/coordinatorStandIn.ts'
import { agent, bodiesOf, orienFor } from '../testing/orienFor.ts'
import { CHAIN_ID, ESCROW, lower, makeProvider, TOKEN, walletOf, wordOf } from '../testing/providerStandIn.ts'
import { deriveSessionKey, sessionKeyMessage } from './sessionKey.ts'

const provider = await makeProvider('honest')
const stranger = await makeProvider('stranger')
const budgetMicros = micros(1_000_000n)
const request = { providerId: provider.id, budgetMicros }
const thief = lower(walletOf('thief').address)

describe('opening a session', () => {
  it('deposits the budget, shows the session key and is ready for work', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await orienFor(standIn).openSession(request)
    expect((await session.state()).status).toBe('active')
    const { channel } = standIn.session()
    expect(channel?.payer).toBe(lower(agent.address))
    expect(channel?.payee).toBe(provider.payout)
    expect(channel?.authorizedSigner).toBe((await deriveSessionKey(agent, session.id)).address)
  })

  it('signs a deposit that lives ten minutes and a voucher over nothing', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    await orienFor(standIn).openSession(request)
    const [start] = bodiesOf(standIn, standIn.session().id)
    const { deposit, voucher } = start as {
      deposit: { valueMicros: string; validBefore: number }
      voucher: object
    }
    expect(deposit.valueMicros).toBe('1000000')
    const lifeMs = deposit.validBefore * 1_000 - Date.now()
    expect(lifeMs).toBeGreaterThan(590_000)
    expect(lifeMs).toBeLessThan(610_000)
    expect(voucher).toMatchObject({ cumulativeMicros: '0' })
  })

  it('re-sends the same authorisation when its answer is lost, and signs no second one', async () => {
    let losses = 2
    await using standIn = await startCoordinatorStandIn(provider, {
      intercept: ({ path, body }, response) => {
        if (!path.includes('/api/sessions/ses_') || !body.includes('start') || losses === 0) return false
        losses -= 1
        response.destroy()
        return true
      },
    })
    await orienFor(standIn).openSession(request)
    const starts = standIn.requests.filter(({ body }) => body.includes('"start"'))
    expect(starts).toHaveLength(3)
    expect(new Set(starts.map(({ body }) => body.toString())).size).toBe(1)
    expect(new Set(starts.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  })
})

describe('nothing is signed and nothing is deposited', () => {
  const other =
    (change: Partial<SessionView['payment']>) =>
    (view: SessionView): Partial<SessionView> => ({ payment: { ...view.payment, ...change } })
  const view =
    (change: Partial<ProviderView>) =>
    (given: ProviderView): ProviderView => ({ ...given, ...change })

  const cases: [string, Lies][] = [
    ['when the payee is not the registered one', { session: other({ payee: thief }) }],
    ['when the contract is not the one of the offer', { session: other({ escrow: thief }) }],
    ['when the token is not the one of the offer', { session: other({ token: thief }) }],
    ['when the chain is not the one of the offer', { session: other({ chainId: 1 }) }],
    ['when the salt is of another session', { session: other({ salt: sessionSalt('ses_other') }) }],
    ['when the rate is not the one of the offer', { session: () => ({ rateMicrosPerMinute: micros(1n) }) }],
    ['when the offer is of another provider', { session: () => ({ offer: stranger.offerText }) }],
    ['when the offer is no JWS', { session: () => ({ offer: 'offer' }) }],
    [
      'when the registration is of another provider',
      { provider: view({ registration: stranger.view.registration }) },
    ],
    [
      'when the registration is signed by another wallet',
      {
        provider: (given) => ({
          ...given,
          registration: { ...given.registration, signature: stranger.view.registration.signature },
        }),
      },
    ],
    [
      'when the registration names another node key than was signed',
      {
        provider: (given) => {
          const registration = { ...given.registration.registration, nodeKey: stranger.nodeKey }
          return { ...given, registration: { ...given.registration, registration } }
        },
      },
    ],
    [
      'when the registration names another payout address than was signed',
      {
        provider: (given) => {
          const registration = { ...given.registration.registration, payout: thief }
          return { ...given, registration: { ...given.registration, registration } }
        },
      },
    ],
  ]

  it.each(cases)('%s', async (_, lies) => {
    const signed: string[] = []
    const account = {
      ...agent,
      signTypedData: async () => {
        signed.push('typed data')
        return '0x' as const
      },
    }
    await using standIn = await startCoordinatorStandIn(provider, lies)
    await expect(orienFor(standIn, { account }).openSession(request)).rejects.toMatchObject({
      code: 'signature_invalid',
    })
    expect(signed).toEqual([])
    expect(bodiesOf(standIn, standIn.session().id)).toEqual([])
  })

  it('when the agent’s own endpoint shows another contract at the escrow’s address, or does not answer', async () => {
    const signed: string[] = []
    const account = {
      ...agent,
      signTypedData: async () => {
        signed.push('typed data')
        return '0x' as const
      },
    }
    await using standIn = await startCoordinatorStandIn(provider)
    const state = { chainId: CHAIN_ID, timestamp: 1, blockNumber: 1, channel: null, logs: [] }
    await using chain = await startChainStandIn(state)
    const other = orienFor(standIn, { account, rpcUrl: chain.url }).openSession(request)
    await expect(other).rejects.toMatchObject({
      code: 'signature_invalid',
      message: expect.stringContaining('not ORIEN’s escrow'),
    })
    const away = orienFor(standIn, { account, rpcUrl: 'http://127.0.0.1:9' }).openSession(request)
    await expect(away).rejects.toMatchObject({ code: 'chain_unavailable' })
    expect(signed).toEqual([])
    expect(bodiesOf(standIn, standIn.session().id)).toEqual([])
  })

  it('when another session is opened than was asked for', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      session: () => ({ providerId: stranger.id }),
    })
    await expect(orienFor(standIn).openSession(request)).rejects.toMatchObject({ code: 'unreadable' })
  })

  it('when the contract is not the one that the caller knows', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    for (const pinned of [{ escrow: thief }, { token: thief }, { chainId: 1 }]) {
      await expect(orienFor(standIn, { pinned }).openSession(request)).rejects.toMatchObject({
        code: 'signature_invalid',
      })
    }
    const pinned = { escrow: ESCROW, token: TOKEN, chainId: 31_337 }
    expect((await orienFor(standIn, { pinned }).openSession(request)).id).toMatch(/^ses_/)
  })

  it('when the provider is not trusted', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const orien = orienFor(standIn, { trustedProviders: [stranger.id] })
    await expect(orien.openSession(request)).rejects.toMatchObject({ code: 'forbidden' })
    expect(standIn.requests).toEqual([])
  })

  it('when the rate is above the caller’s maximum', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const call = orienFor(standIn).openSession({ ...request, maxRateMicros: micros(599_999n) })
    await expect(call).rejects.toMatchObject({ code: 'rate_too_high' })
  })

  it('without a wallet', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const { orien } = { orien: orienFor(standIn, { token: 'given' }) }
    const account = undefined as never
    const bare = orienFor(standIn, { token: 'given', account })
    await expect(bare.openSession(request)).rejects.toMatchObject({ code: 'unauthorized' })
    expect(orien.baseUrl).toBe(standIn.url)
  })

  it('by a wallet that signs with another key than its address says', async () => {
    const other = walletOf('other')
    const account = { ...agent, signTypedData: other.signTypedData as typeof agent.signTypedData }
    await using standIn = await startCoordinatorStandIn(provider)
    await expect(orienFor(standIn, { account }).openSession(request)).rejects.toMatchObject({
      code: 'signature_invalid',
    })
  })
})

describe('a session key', () => {
  it('is the same after a restart, another one for another session or wallet', async () => {
    const key = await deriveSessionKey(agent, 'ses_1')
    expect((await deriveSessionKey(agent, 'ses_1')).address).toBe(key.address)
    expect((await deriveSessionKey(agent, 'ses_2')).address).not.toBe(key.address)
    expect((await deriveSessionKey(walletOf('x'), 'ses_1')).address).not.toBe(key.address)
  })

  it('is made from a text that names its session and warns whoever reads it', () => {
    expect(sessionKeyMessage('ses_1')).toContain('Session: ses_1')
    expect(sessionKeyMessage('ses_1')).toContain('Sign it only')
  })

  it('shows its private half to nobody', async () => {
    const key = await deriveSessionKey(agent, 'ses_1')
    expect(Object.keys(key).sort()).toEqual(['address', 'signExit', 'signVoucher'])
  })
})

describe('a session that is attached again', () => {
  it('has the same key, and goes on where its receipts end', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const first = await orienFor(standIn).openSession(request)
    await first.run({ tool: 'render_scene' })
    const again = await orienFor(standIn).session(first.id)
    expect(again.consumedMicros).toBe(15_000n)
    await again.run({ tool: 'render_scene', maxCostMicros: micros(20_000n) })
    expect(again.consumedMicros).toBe(30_000n)
  })

  it('of another wallet is refused', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const { id } = await orienFor(standIn).openSession(request)
    const call = orienFor(standIn, { account: walletOf('someone else') }).session(id)
    await expect(call).rejects.toMatchObject({ code: 'signature_invalid' })
  })

  it('with a receipt that nobody signed is refused', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const { id } = await orienFor(standIn).openSession(request)
    const session = standIn.session()
    session.finish(session.begin(micros(20_000n)), 1_500)
    session.receipts[0] = (session.receipts[0] ?? '').replace(/\.[^.]*$/, `.${'A'.repeat(86)}`)
    await expect(orienFor(standIn).session(id)).rejects.toMatchObject({ code: 'signature_invalid' })
  })
})

describe('a top-up', () => {
  it('adds to the budget with a salt of its own each time', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await orienFor(standIn).openSession(request)
    await session.topUp(micros(5n))
    expect((await session.topUp(micros(5n))).budgetMicros).toBe(1_000_010n)
    const salts = bodiesOf(standIn, session.id)
      .filter(({ action }) => action === 'topUp')
      .map(({ topUpSalt }) => topUpSalt)
    expect(new Set(salts).size).toBe(2)
    expect(salts).not.toContain(wordOf('x'))
  })
})
