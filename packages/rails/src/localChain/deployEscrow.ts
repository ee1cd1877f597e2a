import type { Address } from 'viem'
import { escrowDeployment } from '../escrow/escrowDeployment.ts'
import { localAccounts } from './accounts.ts'
import { localUsdc } from './deployUsdc.ts'
import { type LocalClients, minedLocal, sendFromNobody } from './rpc.ts'

/**
 * Makes sure that the escrow of today's source stands on the chain. A state file of an older contract gets the
 * new one beside the old.
 *
 * @throws OrienError `setup_failed` when the deployment reverts
 */
export async function ensureEscrow(clients: LocalClients, closeGraceSeconds: bigint): Promise<Address> {
  const { platform, reserve } = localAccounts
  const { address, call } = escrowDeployment({ token: localUsdc, platform, reserve, closeGraceSeconds })
  const code = await clients.reader.getCode({ address })
  if (code === undefined) await minedLocal(clients, await sendFromNobody(clients, call))
  return address
}
