import { type ProviderView, providerId, type SessionView, sessionId } from '@orien/protocol'
import type { Orien } from '@orien/sdk'
import { wrongUse } from '../terminal/wrongUse.ts'

/** Reads a session's id from the command line. */
export function readSessionId(text: string): SessionView['id'] {
  const parsed = sessionId.safeParse(text)
  if (parsed.success) return parsed.data
  throw wrongUse(`"${text}" is not a session's id`, '`orien session show` lists your sessions.')
}

/** Finds a provider by its id, or by its name when only one has it. */
export async function findProvider(orien: Orien, text: string): Promise<ProviderView> {
  const parsed = providerId.safeParse(text)
  if (parsed.success) return orien.provider(parsed.data)
  const named = (await orien.providers({ q: text.slice(0, 100) })).filter(({ name }) => name === text)
  const [only, ...others] = named
  if (only && others.length === 0) return only
  if (only) throw wrongUse(`${named.length} providers are called "${text}"`, 'Use the id of one of them.')
  throw wrongUse(`There is no provider "${text}"`, '`orien providers` lists them.')
}
