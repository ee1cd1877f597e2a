import { providerView } from '@orien/protocol'
import { assertEscrow, endpointsOf, readSender } from '@orien/sdk'
import { formatEther } from 'viem'
import { affordableClaims, leastWei } from '../claims/claimAlone.ts'
import type { Clock } from '../clock.ts'
import type { Provider } from '../identity/providerFile.ts'
import { NODE_LIMITS } from '../limits.ts'
import { type Finding, fault, ok, warning } from './finding.ts'

const ANSWER_MS = 5_000

const causeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message || error.message : error.message
}

async function ask(rpcUrl: string, method: string, params: unknown[]): Promise<unknown> {
  const response = await fetch(rpcUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  const answer = (await response.json()) as { result?: unknown }
  return answer.result
}

/** The node's own way to the chain: there, on the right chain, with the very contract that it was made for. */
export async function checkRpc(list: string | undefined, provider: Provider): Promise<Finding> {
  const findings = await Promise.all(endpointsOf(list ?? '').map((url) => checkEndpoint(url, provider)))
  const [first] = findings
  if (!first) return fault('rpc', 'rpc_missing', 'the node has no way of its own to the chain')
  // One that is away is what the others are for; one that lies is to be taken out.
  const wrong = findings.find((finding) => finding.state !== 'ok' && finding.code !== 'rpc_unreachable')
  return wrong ?? findings.find(({ state }) => state === 'ok') ?? first
}

async function checkEndpoint(rpcUrl: string, { chain }: Provider): Promise<Finding> {
  try {
    const chainId = Number(await ask(rpcUrl, 'eth_chainId', []))
    if (!Number.isSafeInteger(chainId))
      return fault('rpc', 'rpc_unreachable', `${rpcUrl} is no RPC of a chain`)
    if (chainId !== chain.chainId)
      return fault('rpc', 'rpc_wrong_chain', `it is of chain ${chainId}, the node works on ${chain.chainId}`)
    const code = await ask(rpcUrl, 'eth_getCode', [chain.escrow, 'latest'])
    if (typeof code !== 'string' || code.length <= 2)
      return fault('rpc', 'escrow_missing', `chain ${chainId} has nothing at ${chain.escrow}`)
    const strange = await assertEscrow(rpcUrl, chain).then(
      () => null,
      (error: unknown) => causeOf(error),
    )
    if (strange !== null) return fault('rpc', 'escrow_not_genuine', strange)
    return ok('rpc', `chain ${chainId}, escrow ${chain.escrow} by its code and its terms`)
  } catch (error) {
    return fault('rpc', 'rpc_unreachable', `${rpcUrl}: ${causeOf(error)}`)
  }
}

/** Whether the operator key could pay the gas of a claim of its own; nothing where the chain does not answer. */
export async function checkGas(rpcUrl: string, { chain, registration }: Provider): Promise<Finding[]> {
  const { operator } = registration
  const sender = await readSender(rpcUrl, chain.chainId, operator).catch(() => null)
  if (!sender) return []
  const holds = `${operator} holds ${formatEther(sender.balanceWei)} of the chain's coin`
  const closes = affordableClaims(sender)
  if (closes > 0) return [ok('gas', `${holds}, enough to claim ${closes} sessions without the coordinator`)]
  const neededWei = leastWei(sender)
  return [
    warning('gas', 'operator_without_gas', `${holds}; a claim of its own may take ${formatEther(neededWei)}`),
  ]
}

/** How the coordinator sees the node, and how its clock stands to ours. */
export async function checkCoordinator(
  coordinatorUrl: string | undefined,
  provider: Provider,
  clock: Clock,
): Promise<Finding[]> {
  if (coordinatorUrl === undefined)
    return [fault('coordinator', 'coordinator_missing', 'the node has no coordinator')]
  try {
    const askedMs = clock.nowMs()
    const place = await fetch(new URL('/.well-known/orien.json', coordinatorUrl), {
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const answeredMs = clock.nowMs()
    const { chainId, escrow } = (await place.json()) as { chainId?: unknown; escrow?: unknown }
    const { chain, registration } = provider
    const time = timeOf(place.headers.get('date'), { askedMs, answeredMs })
    if (chainId !== chain.chainId || String(escrow).toLowerCase() !== chain.escrow) {
      const detail = `it settles on chain ${chainId}, escrow ${escrow}`
      return [fault('coordinator', 'coordinator_other_chain', detail), ...time]
    }
    return [await seenAs(coordinatorUrl, registration.providerId), ...time]
  } catch (error) {
    return [fault('coordinator', 'coordinator_unreachable', `${coordinatorUrl}: ${causeOf(error)}`)]
  }
}

async function seenAs(coordinatorUrl: string, providerId: string): Promise<Finding> {
  const response = await fetch(new URL(`/api/providers/${providerId}`, coordinatorUrl), {
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  if (response.status === 404)
    return warning('coordinator', 'not_registered', `${coordinatorUrl} does not know this node yet`)
  const seen = providerView.safeDecode(
    (await response.json()) as Parameters<typeof providerView.safeDecode>[0],
  )
  if (!response.ok || !seen.success)
    return fault('coordinator', 'coordinator_refuses', `${coordinatorUrl} answered ${response.status}`)
  return ok('coordinator', `${coordinatorUrl} shows this node as ${seen.data.status}`)
}

/** An HTTP date has whole seconds: half a second of it is not known. */
const DATE_STEP_MS = 500

function timeOf(
  date: string | null,
  { askedMs, answeredMs }: { askedMs: number; answeredMs: number },
): Finding[] {
  if (date === null || Number.isNaN(Date.parse(date))) return []
  const skewMs = Math.round(Date.parse(date) + DATE_STEP_MS - (askedMs + answeredMs) / 2)
  return [clockFinding(skewMs, DATE_STEP_MS + Math.ceil((answeredMs - askedMs) / 2))]
}

/** @param skewMs of the coordinator's clock ahead of ours */
export function clockFinding(skewMs: number, uncertaintyMs: number): Finding {
  const ahead = skewMs >= 0 ? 'behind' : 'ahead of'
  const detail = `${Math.abs(skewMs)} ms (± ${uncertaintyMs}) ${ahead} the coordinator's`
  return Math.abs(skewMs) - uncertaintyMs <= NODE_LIMITS.clockSkewMs
    ? ok('clock', detail)
    : fault('clock', 'clock_skewed', detail)
}
