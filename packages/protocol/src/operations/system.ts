import { z } from 'zod'
import { address } from '../bytes.ts'
import { agentId, keyId } from '../ids.ts'
import { usdcMicros } from '../money.ts'
import { instant } from '../time.ts'
import { apiKeyView } from '../views.ts'
import { operation, page, pageQuery } from './operation.ts'

const part = z.enum(['ok', 'down'])
const databasePart = z.enum(['ok', 'down', 'slow', 'busy', 'read_only', 'full', 'damaged', 'crash_loop'])

/** `GET /api/health` */
export const getHealth = operation({
  id: 'getHealth',
  method: 'GET',
  path: '/api/health',
  tag: 'system',
  summary: 'Whether the coordinator can serve; 503 when it cannot',
  actor: 'public',
  output: z.strictObject({
    status: z.enum(['ok', 'degraded', 'down']),
    version: z.string(),
    database: databasePart,
    bus: part,
    /** `behind`: its newest block is old, or below one that was seen; `wrong`: another chain id than configured. */
    chain: z.enum(['ok', 'down', 'behind', 'wrong']),
    /** Who sends deposits and settlements; `stuck`: no pass was finished for a minute. */
    relayer: z.enum(['ok', 'out_of_gas', 'stuck']),
    providersOnline: z.int().min(0),
    /** Why it is not `ok`, as codes, the worst first. */
    reasons: z.array(z.string()),
  }),
})

/** `POST /api/init` */
export const initialise = operation({
  id: 'initialise',
  method: 'POST',
  path: '/api/init',
  tag: 'system',
  summary: 'Funds a wallet with local USDC for development',
  actor: 'public',
  body: z.strictObject({ wallet: address.optional(), amountMicros: usdcMicros.optional() }),
  output: z.strictObject({
    chainId: z.int(),
    rpcUrl: z.string(),
    escrow: address,
    token: address,
    wallet: address.optional(),
    fundedMicros: usdcMicros,
  }),
  errors: ['not_in_production', 'chain_unavailable'],
})

/** `POST /api/auth/challenge` */
export const createChallenge = operation({
  id: 'createChallenge',
  method: 'POST',
  path: '/api/auth/challenge',
  tag: 'auth',
  summary: 'A sign-in message (EIP-4361) for a wallet',
  actor: 'public',
  body: z.strictObject({ address }),
  output: z.strictObject({ message: z.string(), expiresAt: instant }),
})

/** `POST /api/auth/verify` */
export const verifyChallenge = operation({
  id: 'verifyChallenge',
  method: 'POST',
  path: '/api/auth/verify',
  tag: 'auth',
  summary: 'Exchanges a signed message for a bearer token',
  actor: 'public',
  body: z.strictObject({
    message: z.string().min(1).max(2_000),
    signature: z.string().regex(/^0x[0-9a-fA-F]{130}$/),
  }),
  output: z.strictObject({ token: z.string(), agentId, expiresAt: instant }),
  errors: ['challenge_expired', 'signature_invalid'],
})

/** `POST /api/keys` */
export const createKey = operation({
  id: 'createKey',
  method: 'POST',
  path: '/api/keys',
  tag: 'auth',
  summary: 'Makes a scoped API key with a spend cap; the secret is shown once',
  actor: 'agent',
  status: 201,
  body: z.strictObject({
    name: z.string().trim().min(1).max(80),
    scopes: z
      .array(z.enum(['read', 'spend']))
      .min(1)
      .max(2),
    spendCapMicros: usdcMicros,
    expiresAt: instant.optional(),
  }),
  output: apiKeyView.extend({ secret: z.string() }),
  errors: ['forbidden'],
})

/** `GET /api/keys` */
export const listKeys = operation({
  id: 'listKeys',
  method: 'GET',
  path: '/api/keys',
  tag: 'auth',
  summary: 'The API keys of the signed-in agent',
  actor: 'agent',
  query: z.strictObject(pageQuery),
  output: page(apiKeyView),
})

/** `DELETE /api/keys/:id` */
export const revokeKey = operation({
  id: 'revokeKey',
  method: 'DELETE',
  path: '/api/keys/:id',
  tag: 'auth',
  summary: 'Revokes an API key at once',
  actor: 'agent',
  params: z.strictObject({ id: keyId }),
  output: z.strictObject({ id: keyId, revokedAt: instant }),
  errors: ['not_found', 'forbidden'],
})
