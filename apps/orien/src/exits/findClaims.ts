import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OrienError, parseBill } from '@orien/protocol'
import { loadClaims, loadProvider, lockHolder, type Provider } from '@orien/provider-node'
import { verifyBillText } from '@orien/sdk'
import type { Claimable } from './claimChannel.ts'

/** What is to be claimed, and where. */
export type Claims = {
  claims: (Claimable & { sessionId: string; openRuns: number })[]
  /** Where the file of the key is that claims, unless one is named. */
  keyFile: string | undefined
  rpcUrl: string | undefined
  /** The owner's signature under the operator key, in case nobody has brought it to the chain. */
  provider: Provider | undefined
}

/**
 * Finds what a node's journal says that it has earned. A node that runs is left alone unless one only looks: it would
 * go on working in channels that are closed under it.
 *
 * @throws OrienError `setup_failed` where there is no node, `database_in_use` while it runs, `unreadable`
 */
export async function claimsOfNode(dataDir: string, isLook: boolean): Promise<Claims> {
  const provider = await loadProvider(dataDir)
  const holder = await lockHolder(dataDir)
  if (holder !== null && !isLook) {
    throw new OrienError(
      'database_in_use',
      `The node runs (process ${holder}), and would go on working unpaid`,
      {
        hint: 'Nothing was sent. Stop it first (`orien provider drain --exit`), or look with --status.',
      },
    )
  }
  const claims = await loadClaims(dataDir)
  const keyFile = join(dataDir, 'operator.key')
  return { claims, keyFile, rpcUrl: provider.rpcUrl, provider }
}

/**
 * Takes what is to be claimed from a bill, after having checked all of it that can be checked without the chain.
 *
 * @throws OrienError `unreadable`, `receipt_mismatch` for a bill that contradicts itself
 */
export async function claimOfBill(path: string): Promise<Claims> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new OrienError('unreadable', `The file ${path} cannot be read`, {}, { cause })
  })
  const parsed = parseBill(text)
  if (!parsed.ok)
    throw new OrienError('unreadable', `This is no bill: ${parsed.failure.line} ${parsed.failure.detail}`)
  const { failure } = await verifyBillText(text)
  if (failure)
    throw new OrienError('receipt_mismatch', `The bill is not right: ${failure.line} ${failure.detail ?? ''}`)
  const { sessionId, channel, voucher, consumedMicros: earnedMicros } = parsed.bill
  const claims = [{ sessionId, channel, voucher, earnedMicros, openRuns: 0 }]
  return { claims, keyFile: undefined, rpcUrl: undefined, provider: undefined }
}
