import { describe, expect, it } from 'vitest'
import { ERRORS } from './errors.ts'
import { openApiDocument } from './openapi.ts'
import { OPERATIONS } from './operations/index.ts'
import { STREAMS } from './streams.ts'

type Node = Record<string, unknown>
type Described = Node & {
  operationId: string
  parameters: { name: string; in: string; required?: boolean; schema: Node }[]
  responses: Record<string, { description: string; content?: Record<string, { schema: Node }> }>
  requestBody?: { content: Record<string, { schema: Node }> }
  security: unknown[]
  tags: string[]
}

const document = openApiDocument('http://localhost:3000', '0.1.0')
const paths = document.paths as Record<string, Record<string, Described>>
const described = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

/** Every object inside a value, with its place. */
function* objects(value: unknown, at = '#'): Generator<{ at: string; node: Node }> {
  if (value === null || typeof value !== 'object') return
  if (!Array.isArray(value)) yield { at, node: value as Node }
  for (const [key, member] of Object.entries(value)) yield* objects(member, `${at}/${key}`)
}

function resolve(reference: string): unknown {
  return reference
    .replace(/^#\//, '')
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((node, part) => (node as Node | undefined)?.[part], document)
}

describe('the OpenAPI document', () => {
  it('is 3.1 and plain JSON: nothing is lost by printing it', () => {
    expect(document.openapi).toMatch(/^3\.1\./)
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  })

  it('has an answer to every reference', () => {
    const references = [...objects(document)].filter(({ node }) => typeof node.$ref === 'string')
    expect(references.length).toBeGreaterThan(0)
    for (const { at, node } of references) expect([at, resolve(String(node.$ref))]).not.toContain(undefined)
  })

  it('has one description for every operation and stream, each with a name of its own', () => {
    expect(described).toHaveLength(OPERATIONS.length + STREAMS.length)
    const names = described.map(({ operation }) => operation.operationId)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(expect.arrayContaining(OPERATIONS.map((op) => op.id)))
  })

  it('has no two paths that differ only in the name of a parameter', () => {
    const shapes = Object.keys(paths).map((path) => path.replaceAll(/\{\w+\}/g, '{}'))
    expect(new Set(shapes).size).toBe(shapes.length)
  })

  it('uses only tags that it declares', () => {
    const tags = (document.tags as { name: string }[]).map(({ name }) => name)
    expect(new Set(tags).size).toBe(tags.length)
    for (const { operation } of described) {
      if (operation.tags.every((tag) => tags.includes(tag))) continue
      expect([operation.operationId, operation.tags]).toEqual([
        operation.operationId,
        expect.arrayContaining(tags),
      ])
    }
  })
})

describe.each(described.map((entry) => [entry.operation.operationId, entry] as const))(
  '%s',
  (_, { path, operation }) => {
    it('describes each parameter of its path once, as required, and no other', () => {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = operation.parameters.filter((parameter) => parameter.in === 'path')
      expect(declared.map(({ name }) => name).sort()).toEqual(inPath.sort())
      expect(declared.every(({ required }) => required === true)).toBe(true)
      const keys = operation.parameters.map((parameter) => `${parameter.in} ${parameter.name}`)
      expect(new Set(keys).size).toBe(keys.length)
    })

    it('has one good answer at least, and problem documents for all others', () => {
      const statuses = Object.keys(operation.responses)
      expect(statuses.some((status) => status.startsWith('2'))).toBe(true)
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(response.description.length).toBeGreaterThan(0)
        if (!status.startsWith('2'))
          expect(Object.keys(response.content ?? {})).toEqual(['application/problem+json'])
      }
    })

    it('tells a signed-in caller about 401', () => {
      if (operation.security.length > 0) expect(operation.responses).toHaveProperty('401')
    })
  },
)

describe('schemas in the document', () => {
  it('carry amounts as decimal strings, never as numbers', () => {
    const amounts = [...objects(document)].flatMap(({ node }) =>
      Object.entries((node.properties ?? {}) as Record<string, Node>).filter(([name]) =>
        name.endsWith('Micros'),
      ),
    )
    expect(amounts.length).toBeGreaterThan(30)
    expect(amounts.filter(([, schema]) => schema.type !== 'string')).toEqual([])
  })

  it('carry durations as whole numbers', () => {
    const durations = [...objects(document)].flatMap(({ node }) =>
      Object.entries((node.properties ?? {}) as Record<string, Node>).filter(([name]) => name.endsWith('Ms')),
    )
    expect(durations.filter(([, schema]) => schema.type !== 'integer')).toEqual([])
  })

  it('of bodies allow no unknown field', () => {
    const open = described.filter(({ operation }) => {
      const schema = operation.requestBody?.content['application/json']?.schema
      const branches = (schema?.oneOf ?? schema?.anyOf ?? [schema]) as (Node | undefined)[]
      return schema && branches.some((branch) => branch?.additionalProperties !== false)
    })
    expect(open.map(({ operation }) => operation.operationId)).toEqual([])
  })

  it('name every code of the error table', () => {
    const problem = resolve('#/components/schemas/Problem') as { properties: { code: { enum: string[] } } }
    expect(problem.properties.code.enum).toEqual(Object.keys(ERRORS))
  })
})
