import { decodeJws, OrienError, offer as offerSchema } from '@orien/protocol'
import type { z } from 'zod'
import type { SessionRow } from '../session/store.ts'

/** Tool hashes of offers by the offers' hashes: read once, not at each run. */
const known = new Map<string, ReadonlyMap<string, string>>()
const KNOWN_OFFERS = 1_000

function toolsOf({ offer, offerHash }: SessionRow): ReadonlyMap<string, string> {
  const found = known.get(offerHash)
  if (found) return found
  const decoded = decodeJws('orien-offer+jws', offer)
  const parsed = offerSchema.safeDecode(decoded?.payload as z.input<typeof offerSchema>)
  const tools = new Map(parsed.data?.tools.map(({ id, manifestHash }) => [id, manifestHash]))
  if (known.size >= KNOWN_OFFERS) known.clear()
  known.set(offerHash, tools)
  return tools
}

/**
 * A session keeps the offer that it was opened on, and its node runs nothing else in it. What has changed since then is
 * refused before money is held for it.
 *
 * @throws OrienError `tool_not_offered`
 */
export function requireOffered(session: SessionRow, tool: string, manifestHash: string): void {
  const promised = toolsOf(session).get(tool)
  if (promised === manifestHash) return
  const detail =
    promised === undefined
      ? `${tool} was not offered when this session was opened; open a new one for it`
      : `The provider has changed ${tool} since this session was opened; open a new one for it`
  throw new OrienError('tool_not_offered', detail)
}
