import { createSiweMessage } from 'viem/siwe'
import { describe, expect, it } from 'vitest'
import { sessionKeyMessage } from './session/sessionKey.ts'
import { challengeFault } from './signIn.ts'
import { startCoordinatorStandIn } from './testing/coordinatorStandIn.ts'
import { problem } from './testing/loopback.ts'
import { agent, orienFor } from './testing/orienFor.ts'
import { makeProvider } from './testing/providerStandIn.ts'

const provider = await makeProvider('sign-in')
const BASE = 'https://orien.example'

const siwe = (change: object = {}) =>
  createSiweMessage({
    address: agent.address,
    domain: 'orien.example',
    uri: BASE,
    version: '1',
    chainId: 1,
    nonce: 'abcdefgh12345678',
    ...change,
  })

describe('a sign-in message', () => {
  it('for this wallet and this coordinator is signed', () => {
    expect(challengeFault(siwe(), agent.address, BASE)).toBeNull()
    expect(challengeFault(siwe({ scheme: 'https' }), agent.address, BASE)).toBeNull()
    expect(challengeFault(siwe(), agent.address.toLowerCase(), BASE)).toBeNull()
  })

  it('is signed for any name of this machine, when that is where the coordinator is', () => {
    const message = siwe({ domain: 'localhost:3000' })
    expect(challengeFault(message, agent.address, 'http://127.0.0.1:3000')).toBeNull()
    expect(challengeFault(message, agent.address, BASE)).toBe('is for localhost:3000')
  })

  it.each([
    ['another place', siwe({ domain: 'evil.example' })],
    ['a place with the same beginning', siwe({ domain: 'orien.example.evil.com' })],
    ['another port', siwe({ domain: 'orien.example:8443' })],
    ['another wallet', siwe({ address: '0x0000000000000000000000000000000000000001' })],
    ['no nonce', siwe().replace(/^Nonce: .*$/m, 'Nonce: ')],
    ['the text that a session key is made from', sessionKeyMessage('ses_1')],
    ['a transfer', 'Send all my money'],
    ['nothing', ''],
  ])('for %s is not', (_, message) => {
    expect(challengeFault(message, agent.address, BASE)).not.toBeNull()
  })
})

describe('signing in', () => {
  it('never signs what is no sign-in message: a coordinator cannot get a session key that way', async () => {
    const signed: string[] = []
    const account = {
      ...agent,
      signMessage: async ({ message }: { message: string }) => {
        signed.push(message)
        return agent.signMessage({ message })
      },
    }
    await using standIn = await startCoordinatorStandIn(provider, { challenge: sessionKeyMessage('ses_1') })
    const orien = orienFor(standIn, { account })
    await expect(orien.sessions()).rejects.toMatchObject({ code: 'signature_invalid' })
    expect(signed).toEqual([])
  })

  it('happens once for calls that come at the same time, and not again while the token lives', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const orien = orienFor(standIn)
    await Promise.all([orien.sessions(), orien.sessions(), orien.sessions()])
    await orien.sessions()
    expect(standIn.requests.filter(({ path }) => path === '/api/auth/verify')).toHaveLength(1)
  })

  it('is tried again after it failed', async () => {
    let failures = 1
    await using standIn = await startCoordinatorStandIn(provider, {
      intercept: ({ path }, response) => {
        if (path !== '/api/auth/verify' || failures === 0) return false
        failures -= 1
        problem(response, 401, 'challenge_expired')
        return true
      },
    })
    const orien = orienFor(standIn)
    const session = () => orien.openSession({ providerId: provider.id, budgetMicros: 1_000_000n as never })
    await expect(session()).rejects.toMatchObject({ code: 'challenge_expired' })
    expect((await session()).id).toMatch(/^ses_/)
  })

  it('is not needed with a token', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    await orienFor(standIn, { token: 'given' }).sessions()
    expect(standIn.requests.map(({ path }) => path.split('?')[0])).toEqual(['/api/sessions'])
    expect(standIn.requests[0]?.headers.authorization).toBe('Bearer given')
  })
})
