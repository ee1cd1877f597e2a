import { orienEscrowAbi } from '@orien/contracts'
import { type ChannelTerms, type DepositAuthorization, OrienError } from '@orien/protocol'
import type { OrienAccount } from '../account.ts'
import { askChain, chainClient } from './chainClient.ts'
import { readChannelState } from './readChannelState.ts'
import { readSender, sendRaw } from './sender.ts'

/** Room above the estimate, in per cent. */
const GAS_MARGIN_PERCENT = 25n

/**
 * Opens a channel by the payer's own transaction, with the deposit that it has signed: what a coordinator does that
 * relays it. A channel that is open already is left as it is.
 *
 * @throws OrienError `unsupported_operation` for a wallet that signs no transactions, `insufficient_funds` when it
 * cannot pay the gas, `deposit_refused`, `timed_out`, `chain_unavailable`
 */
export async function sendDeposit(
  rpcUrl: string,
  account: OrienAccount,
  channel: ChannelTerms,
  deposit: DepositAuthorization,
): Promise<void> {
  if (!account.signTransaction)
    throw new OrienError('unsupported_operation', 'the wallet sends nothing itself')
  const { chainId, escrow, payer } = channel
  const { encodeFunctionData } = await import('viem')
  const { payee, token, salt, authorizedSigner } = channel
  const terms = [payee, token, deposit.valueMicros, salt, authorizedSigner, payer] as const
  const { validAfter, validBefore, nonce, signature } = deposit
  const args = [...terms, BigInt(validAfter), BigInt(validBefore), nonce, signature] as const
  const data = encodeFunctionData({ abi: orienEscrowAbi, functionName: 'openWithAuthorization', args })
  const { balanceWei, ...sender } = await readSender(rpcUrl, chainId, payer)
  if ((await readChannelState(rpcUrl, channel)) !== null) return
  const client = await chainClient(rpcUrl)
  const estimate = await askChain(() => client.estimateGas({ account: payer, to: escrow, data }))
  const gas = estimate + (estimate * GAS_MARGIN_PERCENT) / 100n
  if (balanceWei < gas * sender.maxFeePerGas)
    throw new OrienError('insufficient_funds', `${payer} cannot pay the gas of its own deposit`)
  const raw = await account.signTransaction({ type: 'eip1559', chainId, to: escrow, data, gas, ...sender })
  const { status, hash } = await sendRaw(rpcUrl, raw)
  if (status === 'mined' || (await readChannelState(rpcUrl, channel)) !== null) return
  if (status === 'waiting') throw new OrienError('timed_out', `the deposit ${hash} is not mined yet`)
  throw new OrienError('deposit_refused', `the deposit ${hash} reverted`)
}
