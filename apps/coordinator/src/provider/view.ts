import {
  argumentsJsonSchema,
  manifestHash,
  micros,
  type ProviderStatus,
  type ProviderView,
  type PublishedTool,
  type Reputation,
  type SignedRegistration,
  UNKNOWN_REPUTATION,
} from '@orien/protocol'
import type { Nodes } from '../context.ts'
import type { ProviderRow } from './store.ts'

/** A provider as the marketplace shows it. */
export function viewProvider(
  row: ProviderRow,
  nodes: Nodes,
  track: Reputation = UNKNOWN_REPUTATION,
): ProviderView {
  const tools = (row.tools as PublishedTool[]).map((tool) => ({
    ...tool,
    manifestHash: manifestHash(tool),
    inputSchema: argumentsJsonSchema(tool.arguments),
  }))
  const { registration } = row.registration as SignedRegistration
  return {
    id: registration.providerId,
    name: row.name,
    status: statusOf(row, nodes),
    payout: registration.payout,
    operator: registration.operator,
    nodeKey: row.nodeKey,
    rateMicrosPerMinute: micros(row.rateMicrosPerMinute),
    tools,
    isolation: row.isolation as ProviderView['isolation'],
    registration: row.registration as SignedRegistration,
    ...(row.offer && row.offerHash ? { offer: row.offer, offerHash: row.offerHash } : {}),
    ...loadOf(row, nodes),
    reputation: track,
    registeredAt: row.registeredAt.toISOString(),
    ...(row.lastSeenAt ? { lastSeenAt: row.lastSeenAt.toISOString() } : {}),
  }
}

/** Whether an agent can rent it now. */
export function statusOf({ id, isDisabled }: ProviderRow, nodes: Nodes): ProviderStatus {
  if (isDisabled) return 'disabled'
  const state = nodes.isOnline(id) ? nodes.stateOf(id) : undefined
  if (!state) return 'offline'
  return state.admission.mode === 'open' ? 'online' : state.admission.mode
}

function loadOf({ id }: ProviderRow, nodes: Nodes): Pick<ProviderView, 'load'> {
  const load = nodes.stateOf(id)?.load
  return load ? { load } : {}
}
