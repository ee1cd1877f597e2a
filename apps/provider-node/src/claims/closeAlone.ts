import type { Hex } from '@orien/protocol'
import type { Mined, Sender } from '@orien/sdk'
import { NODE_LIMITS } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Operator } from '../signer/client.ts'
import { closeCall } from '../signer/closeCall.ts'
import type { BackedClaim } from '../signer/request.ts'
import type { ClaimChain } from './claimChain.ts'

/** What it takes to close channels without anybody's help. */
export type Closer = { chain: ClaimChain; operator: Operator; payee: Hex; log: Log }

/** How long the signature under a batch of closes is good, seconds. */
const CLOSE_LIFE_SECONDS = 3_600

/** How many closes in one transaction an account can pay the gas of, whatever the token makes of them. */
export function affordableCloses({ balanceWei, maxFeePerGas }: Sender): number {
  const gas = balanceWei / (maxFeePerGas > 0n ? maxFeePerGas : 1n)
  const closes = (gas - NODE_LIMITS.claimBatchGas) / NODE_LIMITS.claimGas
  return closes > 0n ? Number(closes) : 0
}

/** What the smallest claim may take at most. */
export const leastWei = ({ maxFeePerGas }: Pick<Sender, 'maxFeePerGas'>): bigint =>
  (NODE_LIMITS.claimBatchGas + NODE_LIMITS.claimGas) * maxFeePerGas

/**
 * Closes channels by one transaction of the operator key. What signer or escrow refuse is left out and logged; the rest
 * is paid.
 *
 * @returns the transaction and what it closes; null when everything was refused
 * @throws OrienError `chain_unavailable`
 */
export async function closeAlone(
  { chain, operator, payee, log }: Closer,
  asked: readonly BackedClaim[],
  sender: Sender,
): Promise<{ mined: Mined; claims: readonly BackedClaim[] } | null> {
  const deadline = (await chain.nowSeconds()) + CLOSE_LIFE_SECONDS
  let claims = asked
  for (let trial = 0; trial < NODE_LIMITS.claimTrials && claims.length > 0; trial += 1) {
    const signed = await operator.signClose({ kind: 'close', claims: [...claims], deadline })
    for (const refusal of signed.refused) log.error({ event: 'claim.refused', ...refusal })
    const unsigned = new Set(signed.refused.map(({ sessionId }) => sessionId))
    claims = claims.filter(({ sessionId }) => !unsigned.has(sessionId))
    if (!signed.signature) return null
    const data = closeCall(payee, { claims, deadline }, signed.signature)
    const { gas, refusals } = await chain.tryClose(operator.address, data)
    if (refusals.every((refusal) => refusal === null))
      return send({ chain, operator }, { claims, deadline }, { ...sender, gas })
    refusals.forEach((error, index) => {
      const { sessionId } = claims[index] ?? {}
      if (error !== null)
        log.error({ event: 'claim.refused', sessionId, code: 'voucher_invalid', detail: error })
    })
    // One signature covers them all, so the rest is signed anew.
    claims = claims.filter((_, index) => refusals[index] === null)
  }
  return null
}

async function send(
  { chain, operator }: Pick<Closer, 'chain' | 'operator'>,
  { claims, deadline }: { claims: readonly BackedClaim[]; deadline: number },
  { nonce, gas, maxFeePerGas, maxPriorityFeePerGas }: Sender & { gas: bigint },
): Promise<{ mined: Mined; claims: readonly BackedClaim[] } | null> {
  const fees = { nonce, gas, maxFeePerGas, maxPriorityFeePerGas }
  const { raw } = await operator.signSend({ kind: 'send', claims: [...claims], deadline, fees })
  return raw ? { mined: await chain.send(raw), claims } : null
}
