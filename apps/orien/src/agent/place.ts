import { address, type Hex, OrienError } from '@orien/protocol'

/** Where a coordinator settles. */
export type Place = { chainId: number; escrow: Hex; token: Hex; rpcUrl: string | undefined }

const ANSWER_MS = 10_000

/**
 * Asks a coordinator which chain and contracts it settles on. The owner signs for exactly these.
 *
 * @throws OrienError `coordinator_unreachable`, `unreadable`
 */
export async function readPlace(coordinatorUrl: string): Promise<Place> {
  const response = await fetch(new URL('/.well-known/orien.json', coordinatorUrl), {
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((cause: unknown) => {
    throw new OrienError('coordinator_unreachable', `Nothing answers at ${coordinatorUrl}`, {}, { cause })
  })
  const said = (await response.json().catch(() => ({}))) as Partial<Record<keyof Place, unknown>>
  const escrow = address.safeParse(said.escrow)
  const token = address.safeParse(said.token)
  if (!Number.isSafeInteger(said.chainId) || !escrow.success || !token.success) {
    throw new OrienError('unreadable', `${coordinatorUrl} does not say which chain it settles on`)
  }
  const rpcUrl = typeof said.rpcUrl === 'string' ? said.rpcUrl : undefined
  return { chainId: Number(said.chainId), escrow: escrow.data as Hex, token: token.data as Hex, rpcUrl }
}
