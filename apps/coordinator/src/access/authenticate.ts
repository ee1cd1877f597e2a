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
  /** Requests that come together with the same token share one question. */
  const asking = new Map<string, Promise<Caller>>()

  const ask = (hash: string): Promise<Caller> => {
    const nowMs = ctx.clock.monotonicMs()
    // Only what nobody has forgotten meanwhile is believed for longer than by those who asked for it.
    const isCurrent = () => asking.get(hash) === answer
    const answer: Promise<Caller> = readCaller(ctx, hash)
      .then((caller) => {
        if (known.size >= CACHE_ENTRIES) known.clear()
        if (isCurrent()) known.set(hash, { caller, untilMs: nowMs + CACHE_MS })
        return caller
      })
      .finally(() => isCurrent() && asking.delete(hash))
    asking.set(hash, answer)
    return answer
  }

  return {
    authenticate: async (header) => {
      const secret = /^Bearer ([\x21-\x7e]{20,200})$/i.exec(header ?? '')?.[1]
      if (!secret) throw new OrienError('unauthorized')
      const hash = sha256Hex(secret)
      const cached = known.get(hash)
      if (cached && cached.untilMs > ctx.clock.monotonicMs()) return cached.caller
      known.delete(hash)
      return asking.get(hash) ?? ask(hash)
    },
    forget: (credentialId) => {
      for (const [hash, { caller }] of known) if (caller.credentialId === credentialId) known.delete(hash)
      asking.clear()
    },
  }
}

async function readCaller({ db }: Pick<Context, 'db'>, hash: string): Promise<Caller> {
  const row = await selectCredential(db.read, hash)
  if (!row) throw new OrienError('unauthorized', 'The token is unknown, expired or revoked')
  const { credential, wallet } = row
  return {
    agentId: credential.agentId as Id<'agent'>,
    wallet: wallet as Hex,
    credentialId: credential.id,
    kind: credential.kind,
    scopes: credential.scopes as Caller['scopes'],
  }
}
