import type { ProviderView } from '@orien/protocol'
import { createHttpClient } from './http/client.ts'
import type { Fetch } from './http/transport.ts'
import { DEFAULT_TIMEOUTS } from './http/watch.ts'
import { findProviders, type ProviderFilter } from './providers.ts'

export type { Fetch }

/**
 * Searches the public list of providers. An entry of its own, because it needs none of the cryptography that an
 * agent brings along, and loading that is a quarter of a short command's time.
 *
 * @throws OrienError the coordinator's own, `coordinator_unreachable`, `timed_out`, `unreadable`
 * @example
 * const online = await listPublicProviders('http://localhost:3000', { online: true })
 */
export function listPublicProviders(
  baseUrl: string,
  filter?: ProviderFilter,
  fetch: Fetch = (url, init) => globalThis.fetch(url, init),
): Promise<ProviderView[]> {
  const http = createHttpClient({
    baseUrl: baseUrl.replace(/\/+$/, ''),
    fetch,
    timeouts: DEFAULT_TIMEOUTS,
    token: async () => undefined,
  })
  return findProviders(http, filter)
}
