import type { ExecutionView, ProviderView } from '@orien/protocol'
import type { ExecuteRequest } from '../execution/execute.ts'

/** A tool as model APIs take it: name, description, JSON Schema of its input, and the call itself. */
export type SessionTool = {
  name: string
  description: string
  inputSchema: Record<string, unknown>
  /** Runs it and waits for the result. Give the model's message id as `turnId`: its retries then never pay twice. */
  run: (
    args: Record<string, unknown>,
    options?: Omit<ExecuteRequest, 'tool' | 'args'>,
  ) => Promise<ExecutionView>
}

type Run = (request: ExecuteRequest) => Promise<ExecutionView>

/** The tools of a provider, bound to a session. */
export function bindTools(provider: ProviderView, run: Run): readonly SessionTool[] {
  return provider.tools.map(({ id, description, inputSchema }) => ({
    name: id,
    description,
    inputSchema,
    run: (args, options = {}) => run({ ...options, tool: id, args }),
  }))
}
