import { authorizationTypes, fiatTokenAbi } from '@orien/contracts'
import type { OwedRefund } from '@orien/coordinator'
import { type Hex, OrienError, refundNonce } from '@orien/protocol'
import { type ContractCall, readEscrowTerms, readHead, readTokenDomain } from '@orien/rails'
import { encodeFunctionData } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import { type ExitChain, type PaidChain, sendExit, unavailable } from '../exits/connectExit.ts'

/** How long a signed payment can be sent, in seconds. */
const PAYMENT_LIFE_SECONDS = 3_600

/** The token that a refund is paid in, and whose the reserve's account is. */
export type ReserveTerms = { token: Hex; reserve: Hex }

/** @throws OrienError `chain_unavailable`, `setup_failed` when no escrow of this kind is there */
export async function readReserve({ client }: ExitChain, escrow: Hex): Promise<ReserveTerms> {
  const reading = await readEscrowTerms(client, escrow)
  if (reading.status === 'unreachable') throw unavailable(reading.detail)
  if (reading.status === 'other')
    throw new OrienError('setup_failed', `${escrow} is no escrow of this source`)
  const { token, reserve } = reading.terms
  return { token, reserve }
}

/** Whether a refund was paid, at the newest final block. */
export async function isPaid(chain: ExitChain, terms: ReserveTerms, refund: OwedRefund): Promise<boolean> {
  const head = await readHead(chain.client, chain.profile)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  const blockNumber = head.finalBlock < 0n ? 0n : head.finalBlock
  const args = [terms.reserve, refundNonce(refund)] as const
  const call = { address: terms.token, abi: fiatTokenAbi, functionName: 'authorizationState', args } as const
  return chain.client.readContract({ ...call, blockNumber }).catch(() => {
    throw unavailable('it does not say which payments it has seen')
  })
}

/**
 * Pays a refund from the reserve's account.
 *
 * @throws OrienError `forbidden` for another key, `insufficient_funds`, `chain_unavailable`
 */
export async function payRefund(
  chain: PaidChain,
  terms: ReserveTerms,
  refund: OwedRefund,
  account: PrivateKeyAccount,
): Promise<Hex | null> {
  if (account.address.toLowerCase() !== terms.reserve.toLowerCase()) {
    throw new OrienError('forbidden', `${account.address} is not the reserve's account ${terms.reserve}`, {
      hint: 'Nothing was sent. Give --reserve-key-file the key of that account.',
    })
  }
  const sent = await sendExit(chain, await signPayment(chain, terms, refund, account))
  if (sent.status === 'reverted' && !(await isPaid(chain, terms, refund)))
    throw new OrienError('insufficient_funds', `The token refuses the payment: ${sent.detail}`)
  return sent.hash
}

async function signPayment(
  { client, profile }: PaidChain,
  { token, reserve }: ReserveTerms,
  refund: OwedRefund,
  account: PrivateKeyAccount,
): Promise<ContractCall> {
  const domain = await readTokenDomain(client, token)
  if (domain.status === 'unreachable') throw unavailable(domain.detail)
  if (domain.status === 'unusual')
    throw new OrienError('setup_failed', 'The token’s signing domain is unusual')
  const head = await readHead(client, profile)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  const message = {
    from: reserve,
    to: refund.payer,
    value: refund.amountMicros,
    validAfter: 0n,
    validBefore: BigInt(head.latestSeconds + PAYMENT_LIFE_SECONDS),
    nonce: refundNonce(refund),
  }
  const { name, version } = domain
  const signature = await account.signTypedData({
    domain: { name, version, chainId: profile.chain.id, verifyingContract: token },
    types: authorizationTypes,
    primaryType: 'TransferWithAuthorization',
    message,
  })
  const { from, to, value, validAfter, validBefore, nonce } = message
  const args = [from, to, value, validAfter, validBefore, nonce, signature] as const
  const functionName = 'transferWithAuthorization'
  return { to: token, data: encodeFunctionData({ abi: fiatTokenAbi, functionName, args }) }
}
