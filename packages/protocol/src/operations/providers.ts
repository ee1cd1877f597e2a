import { z } from 'zod'
import { signature } from '../bytes.ts'
import { providerId } from '../ids.ts'
import { publishedTool, toolId } from '../manifest.ts'
import { rateMicrosPerMinute } from '../meter.ts'
import { usdcMicros } from '../money.ts'
import { isolationClass } from '../offer.ts'
import { providerStatus, providerView } from '../providerView.ts'
import { registration } from '../registration.ts'
import { instant } from '../time.ts'
import { operation, page, pageQuery } from './operation.ts'

const params = z.strictObject({ id: providerId })

/** `GET /api/providers` */
export const listProviders = operation({
  id: 'listProviders',
  method: 'GET',
  path: '/api/providers',
  tag: 'providers',
  summary: 'The marketplace: providers by tool, price and state',
  actor: 'public',
  query: z.strictObject({
    ...pageQuery,
    tool: toolId.optional(),
    maxRateMicros: usdcMicros.optional(),
    online: z.enum(['true', 'false']).optional(),
    isolation: isolationClass.optional(),
    q: z.string().max(100).optional(),
  }),
  output: page(providerView),
})

/** An owner's relayed permission for the operator key. */
export const operatorAuthorization = z.strictObject({
  nonce: z.string().regex(/^(0|[1-9]\d{0,77})$/, 'must be a decimal uint256'),
  deadline: z.int().positive(),
  signature,
})

/** `POST /api/providers` */
export const registerProvider = operation({
  id: 'registerProvider',
  method: 'POST',
  path: '/api/providers',
  tag: 'providers',
  summary: 'Registers a provider with its owner’s signature, or renews a registration',
  actor: 'signature',
  status: 201,
  body: z.strictObject({
    registration,
    signature,
    rateMicrosPerMinute,
    tools: z.array(publishedTool).min(1).max(100),
    operatorAuthorization: operatorAuthorization.optional(),
  }),
  output: providerView,
  errors: ['signature_invalid', 'registration_conflict', 'relay_limit_reached', 'chain_unavailable'],
})

/** `GET /api/providers/:id` */
export const getProvider = operation({
  id: 'getProvider',
  method: 'GET',
  path: '/api/providers/:id',
  tag: 'providers',
  summary: 'One provider',
  actor: 'public',
  params,
  output: providerView,
  errors: ['not_found'],
})

/** `PATCH /api/providers/:id` */
export const updateProvider = operation({
  id: 'updateProvider',
  method: 'PATCH',
  path: '/api/providers/:id',
  tag: 'providers',
  summary: 'The owner disables or enables its provider',
  actor: 'owner',
  params,
  body: z.strictObject({ disabled: z.boolean() }),
  output: providerView,
  errors: ['not_found', 'forbidden'],
})

/** `DELETE /api/providers/:id` */
export const deleteProvider = operation({
  id: 'deleteProvider',
  method: 'DELETE',
  path: '/api/providers/:id',
  tag: 'providers',
  summary: 'Takes a provider off the marketplace; running sessions end and are paid',
  actor: 'owner',
  params,
  output: z.strictObject({ id: providerId, deletedAt: instant }),
  errors: ['not_found', 'forbidden'],
})

/** `POST /api/providers/:id/heartbeat` */
export const heartbeat = operation({
  id: 'heartbeat',
  method: 'POST',
  path: '/api/providers/:id/heartbeat',
  tag: 'providers',
  summary: 'A node says that it is alive; signed by its node key (nodes on a WebSocket do this there)',
  actor: 'signature',
  params,
  body: z.strictObject({
    /** JWS of type orien-node+jws over `{providerId, at}`; `at` within a minute of now. */
    proof: z.string().max(4_096),
  }),
  output: z.strictObject({ status: providerStatus, at: instant }),
  errors: ['not_found', 'signature_invalid'],
})
