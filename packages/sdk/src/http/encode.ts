import type { Operation, OperationInput } from '@orien/protocol'
import { OrienError } from '@orien/protocol/errors'

type Part<Name extends string, Value> = [Value] extends [undefined]
  ? { [K in Name]?: undefined }
  : { [K in Name]: Value }

/** What an operation is called with: decoded values, amounts as `bigint`; query members are all optional. */
export type CallRequest<Op extends Operation> = Part<'params', OperationInput<Op>['params']> &
  Part<'body', OperationInput<Op>['body']> & { query?: Partial<OperationInput<Op>['query']> | undefined }

type AnyRequest = { params?: unknown; query?: unknown; body?: unknown }
type Encodes = { safeEncode: (value: never) => { success: boolean; data?: unknown; error?: unknown } }

function encodeWith(schema: Encodes, value: unknown, part: string): Record<string, unknown> {
  const result = schema.safeEncode(value as never)
  if (result.success) return result.data as Record<string, unknown>
  const { issues = [] } = (result.error ?? {}) as { issues?: { path: PropertyKey[]; message: string }[] }
  throw new OrienError('validation_failed', `the ${part} of the call is not valid`, {
    issues: issues.map((issue) => ({ path: issue.path.map(String).join('.'), message: issue.message })),
  })
}

/** Path and query of a call. */
export function encodePath(op: Operation, request: AnyRequest): string {
  const params = op.params ? encodeWith(op.params, request.params, 'path') : {}
  const path = op.path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(params[name])))
  if (!op.query || !request.query) return path
  const given = Object.fromEntries(
    Object.entries(request.query as Record<string, unknown>).filter(([, value]) => value !== undefined),
  )
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(encodeWith(op.query.partial(), given, 'query'))) {
    query.set(name, String(value))
  }
  return query.size > 0 ? `${path}?${query}` : path
}

/** The JSON body of a call; undefined when it has none. */
export function encodeBody(op: Operation, request: AnyRequest): string | undefined {
  return op.body && JSON.stringify(encodeWith(op.body, request.body, 'body'))
}
