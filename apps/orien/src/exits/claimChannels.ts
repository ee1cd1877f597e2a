import { channelId, type Hex, invariant, OrienError } from '@orien/protocol'
import { encodeBatch, planBatches, readHead, type SignedBatch, simulateBatch } from '@orien/rails'
import { signClaimBatch } from '@orien/sdk'
import { counted } from '../terminal/amounts.ts'
import { type Claimable, type ClaimReport, reportClaim, requireOperator } from './claimChannel.ts'
import { type PaidChain, sendExit, unavailable } from './connectExit.ts'

/** How long the signature under a batch can be relayed, in seconds. */
const CLAIM_LIFE_SECONDS = 3_600
/** Rounds of trying a batch without sending it, each without what the one before was refused. */
const TRIALS = 3
/** Claims that the chain is asked about at once. */
const AT_ONCE = 8

/** What came of one claim. */
export type Claimed = ClaimReport | OrienError

type Open = { position: number; claimable: Claimable; report: ClaimReport }

/**
 * Closes channels at what their provider has earned, as many in one transaction as its gas allows: pays the provider,
 * platform and reserve and refunds the agents. Nothing is sent for one that is closed already, and one that cannot be
 * claimed keeps back none of the others.
 *
 * @param key of the payee or of its operator
 * @param say told of each transaction before it is sent
 * @returns in the order of the claims; an error is one of `forbidden`, `voucher_invalid`, `not_found`,
 * `insufficient_funds`, `timed_out`, `chain_unavailable`
 */
export async function claimChannels(
  chain: PaidChain,
  claimables: readonly Claimable[],
  key: Hex,
  say: (line: string) => void,
): Promise<Claimed[]> {
  const results = await readAll(claimables, async (claimable) => {
    await requireOperator(chain, claimable.channel, key)
    return reportClaim(chain, claimable)
  })
  const open = results.flatMap((report, position): Open[] => {
    const claimable = claimables[position]
    if (!claimable || report instanceof OrienError || report.phase === 'closed') return []
    return [{ position, claimable, report }]
  })
  for (const ofEscrow of Map.groupBy(open, ({ claimable }) => claimable.channel.escrow).values()) {
    const plans = planBatches(ofEscrow.map((one) => ({ ...one, ...one.claimable.channel })))
    for (const { claims } of plans.flatMap(({ groups }) => groups)) {
      const done = await coded(() => claimBatch(chain, claims, key, say))
      for (const { position, report } of claims)
        results[position] = done instanceof OrienError ? done : (done.get(position) ?? report)
    }
  }
  return results
}

/** Asks the chain about each claim, some at a time; an error of one is its answer. */
export async function readAll(
  claimables: readonly Claimable[],
  read: (claimable: Claimable) => Promise<ClaimReport>,
): Promise<Claimed[]> {
  const results: Claimed[] = []
  for (let at = 0; at < claimables.length; at += AT_ONCE) {
    const group = claimables.slice(at, at + AT_ONCE)
    results.push(...(await Promise.all(group.map((claimable) => coded(() => read(claimable))))))
  }
  return results
}

async function coded<T>(act: () => Promise<T>): Promise<T | OrienError> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof OrienError) return error
    throw error
  }
}

/** Closes channels of one payee in one escrow by one signature, without those that the escrow refuses. */
async function claimBatch(
  chain: PaidChain,
  claims: readonly Open[],
  key: Hex,
  say: (line: string) => void,
): Promise<Map<number, Claimed>> {
  const results = new Map<number, Claimed>()
  let left = claims
  for (let trial = 0; trial < TRIALS && left.length > 0; trial += 1) {
    const { escrow, batch } = await signBatch(chain, left, key)
    const tried = await simulateBatch(chain.client, escrow, 'CloseBatch', [batch], chain.gasPayer.address)
    // Whatever else is the matter, sending says by its code.
    const refusals = tried.status === 'ok' ? (tried.refusals[0] ?? []) : []
    if (refusals.every((refusal) => refusal === null)) {
      say(`closing ${counted(left.length, 'session')} in one transaction …`)
      const { hash } = await sendExit(chain, encodeBatch(escrow, 'CloseBatch', [batch]))
      for (const { position, claimable } of left)
        results.set(position, await coded(() => resultOf(chain, claimable, hash)))
      return results
    }
    left.forEach(({ position }, index) => {
      const refusal = refusals[index]
      if (refusal)
        results.set(position, new OrienError('voucher_invalid', `The contract refuses the claim: ${refusal}`))
    })
    // One signature covers them all, so the rest is signed anew.
    left = left.filter((_, index) => !refusals[index])
  }
  return results
}

async function signBatch(
  chain: PaidChain,
  claims: readonly Open[],
  key: Hex,
): Promise<{ escrow: Hex; batch: SignedBatch }> {
  const head = await readHead(chain.client, chain.profile)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  const channel = claims[0]?.claimable.channel
  invariant(channel, 'a batch has a claim')
  const terms = {
    payee: channel.payee,
    claims: claims.map(({ claimable, report: { claimMicros } }) => ({
      channelId: channelId(claimable.channel),
      claimMicros,
    })),
    deadline: head.latestSeconds + CLAIM_LIFE_SECONDS,
  }
  const signature = signClaimBatch(key, channel, 'CloseBatch', terms)
  const vouchers = claims.map(({ claimable }) => claimable.voucher)
  return { escrow: channel.escrow, batch: { terms, signature, vouchers } }
}

async function resultOf(chain: PaidChain, claimable: Claimable, hash: Hex | null): Promise<ClaimReport> {
  const after = await reportClaim(chain, claimable)
  if (after.phase !== 'closed') throw new OrienError('voucher_invalid', 'The contract has left the claim out')
  return { ...after, transactions: hash === null ? [] : [hash] }
}
