import { type Issue, OrienError } from '@orien/protocol/errors'
import { COMMAND_LINE } from './failure.ts'

/** An error that the person at the command line can correct. */
export function wrongUse(detail: string, hint = 'See --help.', issues: readonly Issue[] = []): OrienError {
  return new OrienError('validation_failed', detail, { ...COMMAND_LINE, hint, issues })
}
