import { privateKeyToAccount } from 'viem/accounts'
import { Orien, type OrienOptions } from '../orien.ts'
import type { Loopback } from './loopback.ts'
import { wordOf } from './providerStandIn.ts'

/** The agent's wallet in these tests. */
export const agent = privateKeyToAccount(wordOf('agent'))

/** An agent that talks to a stand-in. */
export function orienFor(standIn: Loopback, options: Partial<OrienOptions> = {}): Orien {
  const timeouts = { connectMs: 5_000, idleMs: 5_000, totalMs: 10_000 }
  return new Orien({ baseUrl: standIn.url, account: agent, timeouts, ...options })
}

/** The bodies of the calls to a path, in their order. */
export function bodiesOf(standIn: Loopback, ending: string): Record<string, unknown>[] {
  return standIn.requests
    .filter(({ path, method }) => method === 'POST' && path.endsWith(ending))
    .map(({ body }) => JSON.parse(body.toString()) as Record<string, unknown>)
}
