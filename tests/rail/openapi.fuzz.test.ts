import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERRORS, micros } from '@orien/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack } from '../harness/stack.ts'

let stack: Stack
let token: string
let known: Record<string, string>
let secrets: string[]

beforeAll(async () => {
  stack = await startStack()
  const node = await startScriptedNode(stack)
  const agent = await createAgent(stack, 1_000_000n)
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(100_000n),
  })
  const run = await session.execute({ tool: 'block', args: {} })
  const challenge = await post('/api/auth/challenge', { address: agent.account.address })
  const { message } = (await challenge.json()) as { message: string }
  const verified = await post('/api/auth/verify', {
    message,
    signature: await agent.account.signMessage({ message }),
  })
  token = ((await verified.json()) as { token: string }).token
  known = { ses: session.id, exe: run.id, prv: node.providerId }
  const password = new URL(stack.database.url).password
  const key = readFileSync(join(stack.dataDir, 'coordinator.key'), 'utf8').trim()
  secrets = [token, password, key, stack.chain.relayerPrivateKey.slice(2)]
})
afterAll(() => stack.stop())

function post(path: string, body: unknown) {
  return fetch(`${stack.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

type Schema = {
  type?: string
  pattern?: string
  properties?: Record<string, Schema>
  required?: string[]
  oneOf?: Schema[]
  anyOf?: Schema[]
  items?: Schema
  const?: unknown
  enum?: unknown[]
}
type Parameter = { name: string; in: string; schema: Schema }
type Described = {
  operationId: string
  parameters: Parameter[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}

/** Anything that JSON can say, and some that a caller should not say. */
const rubbish = fc.oneof(
  { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  fc.constantFrom(
    '\0',
    'a\0b',
    '\ud800',
    '💥'.repeat(2_000),
    '../../etc/passwd',
    '$(id);`id`',
    "'; drop table sessions; --",
    '9'.repeat(40),
    '-1',
    '1e3',
    -1,
    2 ** 53,
    1e308,
    0.1,
    [],
    {},
    null,
    true,
    { __proto__: 1, constructor: 2 },
  ),
)

const deep = Array.from({ length: 500 }).reduce<unknown>((inner) => [inner], 1)

/** Values that mostly fit a schema, with rubbish at a random place. */
function nearly(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  const variants = schema.oneOf ?? schema.anyOf
  if (variants) return fc.oneof(...variants.map(nearly), rubbish)
  const fitting = (): fc.Arbitrary<unknown> => {
    if (schema.enum) return fc.constantFrom(...schema.enum)
    if (schema.type === 'object') {
      const members = Object.entries(schema.properties ?? {}).map(
        ([name, member]) => [name, nearly(member)] as const,
      )
      return fc.record(Object.fromEntries(members), {
        requiredKeys: fc.sample(fc.subarray(members.map(([name]) => name)), 1)[0] ?? [],
      })
    }
    if (schema.type === 'array') return fc.array(nearly(schema.items ?? {}), { maxLength: 3 })
    if (schema.type === 'integer' || schema.type === 'number') return fc.integer()
    if (schema.type === 'boolean') return fc.boolean()
    if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern))
    return fc.string({ unit: 'binary', maxLength: 40 })
  }
  return fc.oneof({ weight: 5, arbitrary: fitting() }, rubbish)
}

function pathValue(parameter: Parameter): fc.Arbitrary<string> {
  const prefix = /\^(\w{3})_/.exec(parameter.schema.pattern ?? '')?.[1] ?? ''
  const random = parameter.schema.pattern
    ? fc.stringMatching(new RegExp(parameter.schema.pattern))
    : fc.string({ maxLength: 30 })
  const wild = fc.constantFrom('', '%00', '..', '%2e%2e%2f', 'x'.repeat(3_000), 'ses_', '%ff', 'null', '💥')
  return fc.oneof(fc.constant(known[prefix] ?? 'x'), random.map(encodeURIComponent), wild)
}

function requestOf(path: string, described: Described) {
  const inPath = described.parameters.filter((parameter) => parameter.in === 'path')
  const inQuery = described.parameters.filter((parameter) => parameter.in === 'query')
  const json = described.requestBody?.content['application/json']?.schema
  return fc.record({
    path: fc
      .tuple(...inPath.map(pathValue))
      .map((values) =>
        inPath.reduce((url, { name }, index) => url.replace(`{${name}}`, values[index] ?? ''), path),
      ),
    query: fc.dictionary(
      fc.constantFrom(...inQuery.map(({ name }) => name), 'limit', 'cursor', 'unknown'),
      fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('\0', '-1', '1e9', '%', '9'.repeat(30))),
      { maxKeys: 3 },
    ),
    body: json
      ? fc.oneof(
          { weight: 6, arbitrary: nearly(json).map((value) => JSON.stringify(value) ?? 'null') },
          fc.constantFrom(
            '',
            '{',
            '[[[[',
            'nul',
            '"\\ud800"',
            JSON.stringify(deep),
            `{"a":${'9'.repeat(400)}}`,
            '{"__proto__":{"x":1}}',
          ),
        )
      : fc.constant(undefined),
    key: fc.option(fc.oneof(fc.uuid(), fc.constantFrom('x'.repeat(300), 'one')), { nil: undefined }),
    isSignedIn: fc.boolean(),
  })
}

const CODES = new Set(Object.keys(ERRORS))

function checkAnswer(status: number, type: string, text: string, what: string): void {
  expect(status, `${what}: ${text.slice(0, 300)}`).toBeLessThan(500)
  for (const secret of secrets) expect(text.includes(secret), `${what} shows a secret`).toBe(false)
  expect(text, what).not.toMatch(/node_modules|\.ts:\d+|\bat \w+ \(|postgres:\/\//)
  if (status < 400) return
  expect(type, what).toMatch(/^application\/problem\+json/)
  expect(CODES.has((JSON.parse(text) as { code: string }).code), what).toBe(true)
}

async function send(
  url: string,
  method: string,
  { body, key, isSignedIn }: { body: string | undefined; key: string | undefined; isSignedIn: boolean },
) {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (key !== undefined) headers['idempotency-key'] = key
  if (isSignedIn) headers.authorization = `Bearer ${token}`
  const gone = AbortSignal.timeout(10_000)
  const answer = await fetch(url, { method, headers, signal: gone, ...(body === undefined ? {} : { body }) })
  const type = answer.headers.get('content-type') ?? ''
  if (type.startsWith('text/event-stream')) {
    await answer.body?.cancel()
    return { status: answer.status, type, text: '' }
  }
  return { status: answer.status, type, text: await answer.text() }
}

/** Whatever is asked: they take no input, and everybody may ask. */
const ALWAYS_ANSWERED = ['health', 'metrics', 'solvency']

const RUNS = 60

describe('every operation of the published document', () => {
  test('answers rubbish with 4xx, problem+json and a code of the table; no secret, no stack', {
    timeout: 240_000,
  }, async () => {
    const document = (await (await fetch(`${stack.url}/api/openapi.json`)).json()) as {
      paths: Record<string, Record<string, Described>>
    }
    const seen = new Map<string, Set<number>>()
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, described] of Object.entries(methods)) {
        const statuses = new Set<number>()
        seen.set(`${method} ${path}`, statuses)
        await fc.assert(
          fc.asyncProperty(requestOf(path, described), async (request) => {
            const query = new URLSearchParams(request.query).toString()
            const url = `${stack.url}${request.path}${query ? `?${query}` : ''}`
            // Ending the one known session for good would leave nothing to fuzz.
            if (method === 'delete' && request.path.includes(known.ses ?? '')) return
            const answer = await send(url, method.toUpperCase(), request)
            statuses.add(answer.status)
            checkAnswer(
              answer.status,
              answer.type,
              answer.text,
              `${method} ${url} ${request.body?.slice(0, 300)}`,
            )
          }),
          { numRuns: RUNS, seed: 20_261_123, endOnFailure: false },
        )
      }
    }
    expect(seen.size).toBeGreaterThan(30)
    for (const [what, statuses] of seen) {
      if (!ALWAYS_ANSWERED.some((name) => what.includes(name)))
        expect(
          [...statuses].some((status) => status >= 400),
          what,
        ).toBe(true)
    }
  })

  test('unknown paths and methods are told apart, and both are problems', async () => {
    for (const [method, path, code] of [
      ['GET', '/api/nothing', 'not_found'],
      ['PUT', '/api/sessions', 'method_not_allowed'],
      ['PATCH', '/api/health', 'method_not_allowed'],
      ['GET', '/%', 'validation_failed'],
    ] as const) {
      const answer = await send(`${stack.url}${path}`, method, {
        body: undefined,
        key: undefined,
        isSignedIn: true,
      })
      checkAnswer(answer.status, answer.type, answer.text, path)
      expect(JSON.parse(answer.text)).toMatchObject({ code })
    }
  })

  test('bodies that are too large, of another type or not UTF-8 are refused by their codes', async () => {
    const url = `${stack.url}/api/auth/challenge`
    const request = async (body: string | Uint8Array<ArrayBuffer>, type: string) => {
      const answer = await fetch(url, { method: 'POST', body, headers: { 'content-type': type } })
      return { status: answer.status, body: await answer.json() }
    }
    expect(
      await request(JSON.stringify({ address: 'x'.repeat(1_100_000) }), 'application/json'),
    ).toMatchObject({ status: 413, body: { code: 'payload_too_large' } })
    expect(await request('address=1', 'application/x-www-form-urlencoded')).toMatchObject({
      status: 415,
      body: { code: 'unsupported_media_type' },
    })
    expect(await request(new Uint8Array([0x22, 0xff, 0xfe, 0x22]), 'application/json')).toMatchObject({
      status: 400,
      body: { code: 'malformed_json' },
    })
  })
})
