import { createChallenge, OrienError, verifyChallenge } from '@orien/protocol'
import type { OrienAccount } from './account.ts'
import type { HttpClient } from './http/client.ts'

/** A token is renewed this long before it ends. */
const RENEW_BEFORE_MS = 30_000

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

function isSameHost(domain: string, baseUrl: string): boolean {
  const { host, hostname } = new URL(baseUrl)
  if (domain === host) return true
  return LOOPBACK.has(hostname) && LOOPBACK.has(domain.replace(/:\d+$/, ''))
}

/**
 * What is wrong with a sign-in message; null when it is one. Signed unseen, it could be any text: the one that a
 * session key is derived from, or a sign-in to another service.
 *
 * @param message per EIP-4361, https://eips.ethereum.org/EIPS/eip-4361
 */
export function challengeFault(message: string, address: string, baseUrl: string): string | null {
  const [first = '', second = ''] = message.split('\n')
  const [, domain] =
    /^(?:https?:\/\/)?(\S+) wants you to sign in with your Ethereum account:$/.exec(first) ?? []
  if (domain === undefined) return 'is no sign-in message'
  if (!isSameHost(domain, baseUrl)) return `is for ${domain}`
  if (second.toLowerCase() !== address.toLowerCase()) return 'names another account'
  return /^Nonce: [A-Za-z0-9]{8,}$/m.test(message) ? null : 'has no nonce'
}

/**
 * A source of bearer tokens for an account: signs in when asked first, keeps the token, renews it before it ends.
 * Callers that come at the same time share one sign-in.
 */
export function createSignIn(account: OrienAccount, baseUrl: string) {
  let current: { token: string; endsAtMs: number } | undefined
  let pending: Promise<string> | undefined

  async function signIn(client: HttpClient): Promise<string> {
    const { message } = await client.call(createChallenge, { body: { address: account.address } })
    const fault = challengeFault(message, account.address, baseUrl)
    if (fault) throw new OrienError('signature_invalid', `the challenge ${fault}; it was not signed`)
    const signature = await account.signMessage({ message })
    const { token, expiresAt } = await client.call(verifyChallenge, { body: { message, signature } })
    current = { token, endsAtMs: Date.parse(expiresAt) }
    return token
  }

  return async (client: HttpClient, renew: boolean): Promise<string> => {
    if (!renew && current && client.serverNowMs() < current.endsAtMs - RENEW_BEFORE_MS) return current.token
    pending ??= signIn(client).finally(() => {
      pending = undefined
    })
    return pending
  }
}
