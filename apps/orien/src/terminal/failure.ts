import type { ErrorFacts, OrienError } from '@orien/protocol'

/** What a person is told of an error: its code, one sentence, what to do next. */
export type Failure = {
  code: string
  detail: string
  hint: string
  issues: readonly { path: string; message: string }[]
}

/** Marks what the person at the command line can correct: it ends with 2, not 1. */
export const COMMAND_LINE = { source: 'command line' } as const

function isOrienError(error: unknown): error is OrienError {
  return error instanceof Error && error.name === 'OrienError'
}

/** Whether the command was used wrongly, as opposed to having failed. */
export function isWrongUse(error: unknown): boolean {
  return isOrienError(error) && error.facts.source === COMMAND_LINE.source
}

function issuesOf(facts: ErrorFacts): Failure['issues'] {
  return Array.isArray(facts.issues) ? facts.issues : []
}

/** Everything that is not an operating error is ours to mend, and says so. */
export async function describeFailure(error: unknown): Promise<Failure> {
  const { ERRORS } = await import('@orien/protocol/errors')
  if (isOrienError(error)) {
    const { hint: ownHint } = error.facts
    const hint = typeof ownHint === 'string' ? ownHint : ERRORS[error.code].hint
    return { code: error.code, detail: error.message, hint, issues: issuesOf(error.facts) }
  }
  const detail = error instanceof Error ? error.message : String(error)
  return { code: 'internal_error', detail, hint: 'Set ORIEN_DEBUG=1 to see where.', issues: [] }
}

/** The lines of a failure. */
export function failureLines(
  failure: Failure,
  paint: { red: (text: string) => string; dim: (text: string) => string },
) {
  return [
    `${paint.red(failure.code)}: ${failure.detail}`,
    ...failure.issues.map(({ path, message }) => `  ${path} ${message}`),
    paint.dim(failure.hint),
  ]
}
