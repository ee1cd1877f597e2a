import type { ProviderView, UsdcMicros } from '@orien/protocol'
import { OrienError } from '@orien/protocol/errors'
import { LIMITS } from '@orien/protocol/limits'
import { listProviders } from '@orien/protocol/operations/providers'
import type { HttpClient } from './http/client.ts'
import type { CallRequest } from './http/encode.ts'

/** What a provider may be searched by. */
export type ProviderFilter = Omit<
  NonNullable<CallRequest<typeof listProviders>['query']>,
  'limit' | 'cursor' | 'online'
> & { online?: boolean | undefined }

/** Pages that a search follows. */
const MAX_PAGES = 20

/** All providers that match, page after page. */
export async function findProviders(http: HttpClient, filter: ProviderFilter = {}): Promise<ProviderView[]> {
  const { online, ...rest } = filter
  const found: ProviderView[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const query = {
      ...rest,
      limit: LIMITS.pageItems,
      ...(online === undefined ? {} : { online: online ? ('true' as const) : ('false' as const) }),
      ...(cursor === undefined ? {} : { cursor }),
    }
    const page = await http.call(listProviders, { query })
    found.push(...page.items)
    cursor = page.nextCursor
    if (cursor === undefined) break
  }
  return found
}

/**
 * The cheapest provider that is online and offers a tool; among equals the more reliable one, then the one with more behind that.
 *
 * @param trusted ids that may be chosen; any when undefined
 * @throws OrienError `provider_offline` when there is none
 */
export async function chooseProvider(
  http: HttpClient,
  wanted: { tool: string; maxRateMicros?: UsdcMicros | undefined; trusted?: readonly string[] | undefined },
): Promise<ProviderView> {
  const { tool, maxRateMicros, trusted } = wanted
  const filter = { tool, online: true, ...(maxRateMicros === undefined ? {} : { maxRateMicros }) }
  const fit = (await findProviders(http, filter)).filter((provider) => trusted?.includes(provider.id) ?? true)
  const [best] = fit.sort(
    (a, b) =>
      Number(a.rateMicrosPerMinute - b.rateMicrosPerMinute) ||
      b.reputation.reliability - a.reputation.reliability ||
      Number(b.reputation.weightMicros - a.reputation.weightMicros),
  )
  if (best) return best
  throw new OrienError('provider_offline', `no provider that is online and trusted offers "${tool}"`)
}
