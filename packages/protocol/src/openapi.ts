import { z } from 'zod'
import type { Json } from './canonicalJson.ts'
import { ERRORS, type ErrorCode } from './errors.ts'
import { OPERATIONS } from './operations/index.ts'
import type { Operation } from './operations/operation.ts'
import { STREAMS } from './streams.ts'

type Schema = Record<string, unknown>

/** The wire form of a schema: amounts are strings, instants are strings. */
function wireSchema(schema: z.ZodType): Schema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema
  return rest
}

function parameters(place: 'path' | 'query', shape: z.ZodObject | undefined): Json[] {
  if (!shape) return []
  const schema = wireSchema(shape) as { properties?: Record<string, Json>; required?: string[] }
  return Object.entries(schema.properties ?? {}).map(([name, member]) => ({
    name,
    in: place,
    required: place === 'path' || (schema.required ?? []).includes(name),
    schema: member,
  }))
}

const COMMON_ERRORS: readonly ErrorCode[] = ['validation_failed', 'rate_limited', 'internal_error']

function errorAnswers(codes: readonly ErrorCode[]): Record<string, Json> {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set([...codes, ...COMMON_ERRORS])) {
    byStatus.set(ERRORS[code].status, [...(byStatus.get(ERRORS[code].status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      String(status),
      {
        description: group.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('; '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  )
}

/** Headers that are no part of a body: the key of a mutation, and how long to wait for a result. */
function headers(op: Operation): Json[] {
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    schema: { type: 'string', maxLength: 200 },
  }
  const prefer = {
    name: 'Prefer',
    in: 'header',
    required: false,
    schema: { type: 'string', examples: ['wait=30'] },
  }
  return [...(op.idempotent ? [key] : []), ...(op.id === 'execute' ? [prefer] : [])]
}

function describe(op: Operation): Json {
  const secured = op.actor === 'agent' || op.actor === 'owner'
  const body = op.body && {
    requestBody: { required: true, content: { 'application/json': { schema: wireSchema(op.body) } } },
  }
  return {
    operationId: op.id,
    tags: [op.tag],
    summary: op.summary,
    security: secured ? [{ bearer: [] }] : [],
    parameters: [...parameters('path', op.params), ...parameters('query', op.query), ...headers(op)],
    ...body,
    responses: {
      [String(op.status)]: {
        description: 'Done',
        content: { 'application/json': { schema: wireSchema(op.output) } },
      },
      ...(op.id === 'execute'
        ? {
            '200': {
              description: 'The result',
              content: { 'application/json': { schema: wireSchema(op.output) } },
            },
          }
        : {}),
      ...errorAnswers(secured ? [...op.errors, 'unauthorized'] : op.errors),
    },
  } as Json
}

const problemSchema = {
  type: 'object',
  description: 'RFC 9457 problem document',
  required: ['type', 'title', 'status', 'code', 'detail', 'hint', 'retryable', 'requestId'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', enum: Object.keys(ERRORS) },
    detail: { type: 'string' },
    hint: { type: 'string' },
    retryable: { type: 'boolean' },
    requestId: { type: 'string' },
    issues: {
      type: 'array',
      items: { type: 'object', properties: { path: { type: 'string' }, message: { type: 'string' } } },
    },
  },
} as const

/**
 * The OpenAPI 3.1 document of the coordinator, derived from the operations table and the streams beside it.
 * https://spec.openapis.org/oas/v3.1.1
 *
 * @param serverUrl base URL that the document names
 */
export function openApiDocument(serverUrl: string, version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  const put = (path: string, method: string, description: unknown) => {
    const template = path.replaceAll(/:(\w+)/g, '{$1}')
    paths[template] = { ...paths[template], [method.toLowerCase()]: description }
  }
  for (const op of OPERATIONS) put(op.path, op.method, describe(op))
  for (const stream of STREAMS)
    put(stream.path, stream.method, {
      ...stream.description,
      responses: { ...stream.description.responses, ...errorAnswers(stream.errors) },
    })
  return {
    openapi: '3.1.0',
    info: {
      title: 'ORIEN',
      version,
      description:
        'The compute marketplace for agents. Amounts are decimal strings of micro-USDC, durations integer milliseconds.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: serverUrl }],
    tags: [...new Set(OPERATIONS.map((op) => op.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: problemSchema },
    },
  }
}
