import * as api from '@orien/protocol'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { z } from 'zod'
import { readHealth } from '../health/readHealth.ts'
import { homePage, referencePage } from './pages.ts'
import { type HttpParts, serve } from './route.ts'

/** Local USDC for development: given by the composition root, absent in production. */
export type Faucet = (wallet: api.Hex, amountMicros: bigint) => Promise<void>

const DEFAULT_GIFT_MICROS = 100n * api.ONE_USDC
const LARGEST_GIFT_MICROS = 1_000_000n * api.ONE_USDC

export function serveSystem(app: FastifyInstance, parts: HttpParts, faucet: Faucet | null): void {
  const { ctx } = parts
  const { version, isProduction } = ctx.config
  // Not before the first reader: the address is complete once the server listens.
  let document: string | undefined
  const toolsSchema = `${JSON.stringify(api.toolsFileJsonSchema(), null, 2)}\n`
  app.get(api.getHealth.path, async (_request, reply) => {
    const health = await readHealth(ctx)
    reply.code(health.status === 'down' ? 503 : 200)
    return z.encode(api.getHealth.output, health)
  })
  serve(app, parts, api.initialise, async ({ body }) => {
    if (isProduction || !faucet) throw new api.OrienError('not_in_production')
    const { chainId, rpcUrl, escrow, token } = ctx.chain
    const fundedMicros = api.micros(body.amountMicros ?? DEFAULT_GIFT_MICROS)
    if (fundedMicros > LARGEST_GIFT_MICROS) {
      const issues = [{ path: 'body.amountMicros', message: `must be at most ${LARGEST_GIFT_MICROS}` }]
      throw new api.OrienError('validation_failed', undefined, { issues })
    }
    const place = { chainId, rpcUrl, escrow, token }
    if (!body.wallet || fundedMicros === api.ZERO) return { ...place, fundedMicros: api.ZERO }
    await faucet(body.wallet, fundedMicros)
    return { ...place, wallet: body.wallet, fundedMicros }
  })
  app.get('/api/openapi.json', (_request, reply) => {
    document ??= JSON.stringify(api.openApiDocument(ctx.config.baseUrl, version))
    return reply.type('application/json; charset=utf-8').send(document)
  })
  app.get(api.TOOLS_SCHEMA_PATH, (_request, reply) =>
    // Editors in a browser read it, too; there is nothing in it that is anybody's own.
    reply
      .type('application/schema+json; charset=utf-8')
      .header('access-control-allow-origin', '*')
      .send(toolsSchema),
  )
  app.get('/api/docs', (_request, reply) => sendPage(reply, referencePage(ctx.config.baseUrl, version)))
  app.get('/docs/errors/:code', (request, reply) => {
    const { code } = request.params as { code: string }
    if (!api.isErrorCode(code)) throw new api.OrienError('not_found')
    return sendPage(reply, referencePage(ctx.config.baseUrl, version, code))
  })
  app.get('/', (_request, reply) => sendPage(reply, homePage(ctx)))
  app.get('/.well-known/orien.json', () => ({
    coordinatorKey: ctx.key.publicKey,
    chainId: ctx.chain.chainId,
    escrow: ctx.chain.escrow,
    token: ctx.chain.token,
    rpcUrl: isProduction ? undefined : ctx.chain.rpcUrl,
  }))
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await ctx.metrics.page()
    return reply.type(contentType).send(text)
  })
}

const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

function sendPage(reply: FastifyReply, html: string) {
  return reply.type('text/html; charset=utf-8').header('content-security-policy', PAGE_POLICY).send(html)
}
