import { type Hex, OrienError, type ProviderView, parseUsdc } from '@orien/protocol'
import { initNode, loadProvider, walletOwner } from '@orien/provider-node'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { openKeyFile } from '../agent/keyFile.ts'
import type { StackChain } from './chain.ts'
import { type DataDir, hasProvider } from './dataDir.ts'

const DEVELOPMENT_NAME = 'Development node'
const DEVELOPMENT_RATE = '0.60'

/**
 * Makes the node of a development stack at its first start, with a wallet for its owner that lies beside it.
 *
 * @returns its id, and the wallet if it was made now
 * @throws OrienError `setup_failed` where money is real: its owner signs at `orien provider init`
 */
export async function ensureProvider(
  dir: DataDir,
  chain: StackChain,
  coordinatorUrl: string,
): Promise<{ providerId: ProviderView['id']; isNew: boolean }> {
  if (hasProvider(dir)) {
    const { registration } = await loadProvider(dir.provider)
    return { providerId: registration.providerId, isNew: false }
  }
  if (!chain.isLocal) {
    throw new OrienError('setup_failed', 'There is no provider node in the data directory', {
      reason: 'no_provider',
      hint: `Make one: orien provider init --data-dir ${dir.provider}; or leave it out: orien up --no-node`,
    })
  }
  const { privateKey } = await openKeyFile(dir.developmentOwnerKey, generatePrivateKey)
  const { rpcUrl, escrow, token } = chain.settings
  const { providerId, operator } = await initNode({
    dataDir: dir.provider,
    owner: walletOwner(privateKeyToAccount(privateKey)),
    name: DEVELOPMENT_NAME,
    rateMicrosPerMinute: parseUsdc(DEVELOPMENT_RATE),
    chain: { chainId: chain.chainId, escrow: escrow.toLowerCase() as Hex, token: token.toLowerCase() as Hex },
    rpcUrl,
    coordinatorUrl,
  })
  await chain.fund?.(operator)
  return { providerId, isNew: true }
}
