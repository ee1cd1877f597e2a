import { type ChannelTerms, OrienError } from '@orien/protocol'
import { assertEscrow, readChannelState } from '@orien/sdk'
import { type Clock, pause } from '../clock.ts'
import type { Timing } from '../limits.ts'
import type { Log } from '../log.ts'
import type { ReadChannel } from './channelWatch.ts'

/** The contract that a node was made for, and the token that it pays in. */
type EscrowPlace = Pick<ChannelTerms, 'chainId' | 'escrow' | 'token'>

/** Asks the node's own RPC whether the escrow is genuine, before the node offers any work. */
export type ProveEscrow = () => Promise<void>

type ProofContext = { clock: Clock; timing: Pick<Timing, 'escrowProofMs'>; log: Log }

/** Reads channels through an RPC, of a genuine escrow alone: another contract may show any deposit it likes. */
export const channelReader =
  (rpcUrl: string): ReadChannel =>
  async (terms) => {
    await assertEscrow(rpcUrl, terms)
    return readChannelState(rpcUrl, terms)
  }

/**
 * The proof throws OrienError `setup_failed` where the contract is another one, or the RPC of another chain. An RPC that
 * does not answer proves nothing: the node goes on, hands over what it owes, and refuses runs until a channel can be read.
 */
export const escrowProver =
  (rpcUrl: string, place: EscrowPlace, { clock, timing, log }: ProofContext): ProveEscrow =>
  async () => {
    const patience = new AbortController()
    const late = pause(clock, timing.escrowProofMs, patience.signal).then(
      () => new OrienError('chain_unavailable', 'the chain does not answer in time'),
    )
    const error = await Promise.race([assertEscrow(rpcUrl, place).then(() => null, asOrienError), late])
    patience.abort()
    if (error === null) return
    const isOther = error.code === 'signature_invalid' || error.facts.reason === 'other_chain'
    if (isOther) throw refusalOf(error)
    log.warn({ event: 'escrow.unproven', code: error.code, detail: error.message })
  }

function refusalOf(error: OrienError): OrienError {
  const hint = 'Look at it: orien provider doctor. A node works for one contract on one chain alone.'
  const reason = error.facts.reason ?? 'escrow_not_genuine'
  return new OrienError('setup_failed', error.message, { reason, hint, retryable: false }, { cause: error })
}

const asOrienError = (cause: unknown): OrienError =>
  cause instanceof OrienError ? cause : new OrienError('internal_error', undefined, {}, { cause })
