import { type Hex, type Id, OrienError, sha256Hex } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { selectCredential } from './store.ts'

/** How long a known token is believed without asking the database: a revoked one stops within this. */
const CACHE_MS = 5_000
const CACHE_ENTRIES = 10_000

/** Finds out who is calling. */
export type Authenticator = {
  /** @throws OrienError `unauthorized` */
  authenticate: (header: string | undefined) => Promise<Caller>
  /** Forgets a revoked key at once on this replica. */
  forget: (credentialId: string) => void
}

export function createAuthenticator(ctx: Pick<Context, 'db' | 'clock'>): Authenticator {
  const known = new Map<string, { caller: Caller; untilMs: number }>()
  return {
    authenticate: async (header) => {
      const secret = /^Bearer ([\x21-\x7e]{20,200})$/i.exec(header ?? '')?.[1]
      if (!secret) throw new OrienError('unauthorized')
      const hash = sha256Hex(secret)
      const nowMs = ctx.clock.monotonicMs()
      const cached = known.get(hash)
      if (cached && cached.untilMs > nowMs) return cached.caller
      const row = await selectCredential(ctx.db.read, hash)
      if (!row) {
        known.delete(hash)
        throw new OrienError('unauthorized', 'The token is unknown, expired or revoked')
      }
      const { credential, wallet } = row
      const caller: Caller = {
        agentId: credential.agentId as Id<'agent'>,
        wallet: wallet as Hex,
        credentialId: credential.id,
        kind: credential.kind,
        scopes: credential.scopes as Caller['scopes'],
      }
      if (known.size >= CACHE_ENTRIES) known.clear()
      known.set(hash, { caller, untilMs: nowMs + CACHE_MS })
      return caller
    },
    forget: (credentialId) => {
      for (const [hash, { caller }] of known) if (caller.credentialId === credentialId) known.delete(hash)
    },
  }
}
