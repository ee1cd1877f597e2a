import type { BatchKind, Hex } from '@orien/protocol'
import type { Mined, Sender } from '@orien/sdk'
import { NODE_LIMITS } from '../limits.ts'
import type { Log } from '../log.ts'
import { batchCall } from '../signer/batchCall.ts'
import type { Operator } from '../signer/client.ts'
import type { BackedClaim, BatchOf } from '../signer/request.ts'
import type { ClaimChain } from './claimChain.ts'

/** What it takes to be paid without anybody's help. */
export type Collector = { chain: ClaimChain; operator: Operator; payee: Hex; log: Log }

/** How long the signature under a batch is good, seconds. */
const BATCH_LIFE_SECONDS = 3_600

/** How many claims in one transaction an account can pay the gas of, whatever the token makes of them. */
export function affordableClaims({ balanceWei, maxFeePerGas }: Sender): number {
  const gas = balanceWei / (maxFeePerGas > 0n ? maxFeePerGas : 1n)
  const claims = (gas - NODE_LIMITS.claimBatchGas) / NODE_LIMITS.claimGas
  return claims > 0n ? Number(claims) : 0
}

/** What the smallest claim may take at most. */
export const leastWei = ({ maxFeePerGas }: Pick<Sender, 'maxFeePerGas'>): bigint =>
  (NODE_LIMITS.claimBatchGas + NODE_LIMITS.claimGas) * maxFeePerGas

/**
 * Has channels pay by one transaction of the operator key. What signer or escrow refuse is left out and logged; the rest
 * is paid.
 *
 * @param batch whether the channels are closed by it, or pay a part
 * @returns the transaction and what it claims; null when everything was refused
 * @throws OrienError `chain_unavailable`
 */
export async function claimAlone(
  { chain, operator, payee, log }: Collector,
  batch: BatchKind,
  asked: readonly BackedClaim[],
  sender: Sender,
): Promise<{ mined: Mined; claims: readonly BackedClaim[] } | null> {
  const deadline = (await chain.nowSeconds()) + BATCH_LIFE_SECONDS
  let claims = asked
  for (let trial = 0; trial < NODE_LIMITS.claimTrials && claims.length > 0; trial += 1) {
    const signed = await operator.sign({ kind: 'sign', batch, claims: [...claims], deadline })
    for (const refusal of signed.refused) log.error({ event: 'claim.refused', ...refusal })
    const unsigned = new Set(signed.refused.map(({ sessionId }) => sessionId))
    claims = claims.filter(({ sessionId }) => !unsigned.has(sessionId))
    if (!signed.signature) return null
    const data = batchCall(payee, { batch, claims, deadline }, signed.signature)
    const { gas, refusals } = await chain.tryBatch(operator.address, data)
    if (refusals.every((refusal) => refusal === null))
      return send({ chain, operator }, { batch, claims, deadline }, { ...sender, gas })
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
  { chain, operator }: Pick<Collector, 'chain' | 'operator'>,
  { batch, claims, deadline }: BatchOf<BackedClaim>,
  { nonce, gas, maxFeePerGas, maxPriorityFeePerGas }: Sender & { gas: bigint },
): Promise<{ mined: Mined; claims: readonly BackedClaim[] } | null> {
  const fees = { nonce, gas, maxFeePerGas, maxPriorityFeePerGas }
  const { raw } = await operator.signSend({ kind: 'send', batch, claims: [...claims], deadline, fees })
  return raw ? { mined: await chain.send(raw), claims } : null
}
