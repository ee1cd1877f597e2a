import * as enrolments from './enrolments.ts'
import * as executions from './executions.ts'
import * as money from './money.ts'
import type { Operation } from './operation.ts'
import * as providers from './providers.ts'
import * as sessions from './sessions.ts'
import * as system from './system.ts'

export * from './enrolments.ts'
export * from './executions.ts'
export * from './money.ts'
export * from './operation.ts'
export * from './providers.ts'
export * from './sessions.ts'
export * from './system.ts'

function isOperation(value: unknown): value is Operation {
  return typeof value === 'object' && value !== null && 'method' in value && 'path' in value
}

/** Every use case, in the order of the reference page. Streams (SSE, files, WebSocket, CSV) stand beside it. */
export const OPERATIONS: readonly Operation[] = [
  system,
  providers,
  enrolments,
  sessions,
  executions,
  money,
].flatMap((concept) => Object.values(concept).filter(isOperation))
