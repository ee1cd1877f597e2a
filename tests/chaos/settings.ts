import type { startCoordinator } from '@orien/coordinator'

/** What the coordinator's process is started with. */
export type CoordinatorSettings = {
  config: Parameters<typeof startCoordinator>[0]['config']
  databaseUrl: string
  /** Through the link that can be struck. */
  rpcUrl: string
  directRpcUrl: string
  profile: 'local' | 'local-reorg'
  /** Of the escrow; as in the product when absent. */
  closeGraceSeconds?: number
}
