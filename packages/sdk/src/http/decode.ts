import type { Operation, OperationOutput } from '@orien/protocol'
import { OrienError } from '@orien/protocol/errors'

type Issue = { code?: string | undefined; path: PropertyKey[]; message: string; keys?: string[] }

function parseJson(op: Operation, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new OrienError('unreadable', `the answer to ${op.id} is not JSON`, {}, { cause })
  }
}

/** Takes the members out that a newer coordinator has added; true when that was all that was wrong. */
function dropUnknown(answer: unknown, issues: readonly Issue[]): boolean {
  for (const { code, path, keys = [] } of issues) {
    if (code !== 'unrecognized_keys') return false
    const holder = path.reduce<unknown>((node, name) => (node as Record<PropertyKey, unknown>)[name], answer)
    for (const key of keys) delete (holder as Record<string, unknown>)[key]
  }
  return true
}

/**
 * Decodes an answer: amounts become `bigint`, what this SDK does not know is left out.
 *
 * @throws OrienError `unreadable` for an answer of another form
 */
export function decodeAnswer<Op extends Operation>(op: Op, text: string): OperationOutput<Op> {
  const answer = parseJson(op, text)
  const first = op.output.safeDecode(answer)
  if (first.success) return first.data as OperationOutput<Op>
  const result = dropUnknown(answer, first.error.issues as Issue[]) ? op.output.safeDecode(answer) : first
  if (result.success) return result.data as OperationOutput<Op>
  throw new OrienError('unreadable', `the answer to ${op.id} has another form than this SDK knows`, {
    issues: result.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message })),
  })
}
