import { formatGas, gasWei } from '@orien/protocol'
import type { Address } from 'viem'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import { CHAIN_LIMITS } from '../chain/limits.ts'
import { readGasBalance } from '../chain/readGas.ts'
import { readFees } from '../transactions/readFees.ts'
import { type ChainFinding, fault, ok, warning } from './finding.ts'

/** Whether the relayer can pay its dearest transaction at today's fees, in the coin that pays gas there. */
export async function checkRelayer(
  client: ChainClient,
  profile: ChainProfile,
  relayer: Address,
  neededGas: bigint = CHAIN_LIMITS.relayerGas,
): Promise<ChainFinding> {
  const [balance, fees] = await Promise.all([readGasBalance(client, relayer), readFees(client, profile)])
  if (balance.status === 'unreachable') return fault('relayer', 'rpc_unreachable', balance.detail)
  if (fees.status === 'unreachable') return fault('relayer', 'fees_missing', fees.detail)
  const { symbol, decimals } = profile.chain.nativeCurrency
  const needed = gasWei(neededGas * fees.maxFeePerGas)
  const held = `${relayer} has ${formatGas(balance.wei, decimals)} ${symbol}`
  if (balance.wei >= needed) return ok('relayer', held)
  const price = `${neededGas} gas may take ${formatGas(needed, decimals)}`
  return warning('relayer', 'relayer_without_gas', `${held}, and ${price}`)
}
