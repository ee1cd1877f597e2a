import { isErrorCode, OrienError, registerProvider } from '@orien/protocol'
import type { Provider } from '../identity/providerFile.ts'
import type { ToolSet } from '../manifest/tools.ts'

type Problem = { code?: unknown; detail?: unknown; retryable?: unknown }

/** Whether a refusal will stand however often it is asked again. */
export function isPermanent(error: unknown): boolean {
  return error instanceof OrienError && error.facts.retryable === false
}

/**
 * Registers the provider, or renews its registration: the coordinator learns tools and price from it.
 *
 * @throws OrienError with the coordinator's code and its `retryable`, or `coordinator_unreachable`
 */
export async function registerNode(
  coordinatorUrl: string,
  provider: Provider,
  tools: ToolSet,
  signal: AbortSignal,
): Promise<void> {
  const { registration, signature, operatorAuthorization, rateMicrosPerMinute } = provider
  const published = [...tools.values()].map((tool) => tool.published)
  const body = registerProvider.body.encode({
    registration,
    signature,
    operatorAuthorization,
    rateMicrosPerMinute,
    tools: published,
  })
  const response = await fetch(new URL(registerProvider.path, coordinatorUrl), {
    method: registerProvider.method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    redirect: 'error',
    signal,
  }).catch((cause: unknown) => {
    throw new OrienError('coordinator_unreachable', undefined, {}, { cause })
  })
  if (response.ok) return void (await response.body?.cancel())
  const problem = await response.json().catch(() => ({}))
  throw refusalOf(response.status, problem as Problem)
}

function refusalOf(status: number, { code, detail, retryable }: Problem): OrienError {
  const known = isErrorCode(code) ? code : 'coordinator_unreachable'
  const text = typeof detail === 'string' ? detail.slice(0, 500) : `the coordinator answered ${status}`
  return new OrienError(known, text, { retryable: isErrorCode(code) ? retryable === true : status >= 500 })
}
