/** The reference's other half: what claims and the chain do to a session. */
import { move, openRuns, type Session, tell } from './reference.ts'

/** The node has signed the claim over the sum of the receipts. */
export function claim(s: Session): void {
  if (s.status !== 'completed' || s.channel !== 'open') return
  s.channel = 'closing'
  s.planned.push({ kind: 'close', amountMicros: s.spentMicros, reference: s.id })
  tell(s, 'settlement.planned', { claimMicros: `${s.spentMicros}` })
}

/** The oldest transaction is final on the chain. */
export function finalise(s: Session): void {
  const planned = s.planned.shift()
  if (!planned) return
  if (planned.kind === 'close') {
    settle(s, planned.amountMicros)
    return
  }
  s.depositMicros += planned.amountMicros
  move(s, 'rails:escrow:inbound', `sessions:${s.id}:budget`, planned.amountMicros)
  if (planned.kind === 'open') {
    s.channel = 'open'
    tell(s, 'deposit.final', { depositMicros: `${planned.amountMicros}` })
  } else {
    s.budgetMicros += planned.amountMicros
    tell(s, 'session.topped_up', { budgetMicros: `${s.budgetMicros}` })
  }
}

/** 90 / 7 / 3, the remainder to the reserve, and everything unspent back. */
function settle(s: Session, claimMicros: bigint): void {
  const [provider, platform] = [(claimMicros * 9_000n) / 10_000n, (claimMicros * 700n) / 10_000n]
  const [payable, earnings] = [`sessions:${s.id}:payable`, `providers:${s.provider}:earnings`]
  move(s, payable, earnings, provider)
  move(s, payable, 'platform:fees', platform)
  move(s, payable, 'platform:reserve', claimMicros - provider - platform)
  move(s, earnings, 'rails:escrow:outbound', provider)
  move(s, `sessions:${s.id}:budget`, 'rails:escrow:outbound', s.depositMicros - claimMicros)
  s.channel = 'closed'
  s.status = 'settled'
  tell(s, 'settlement.final', {
    providerMicros: `${provider}`,
    refundedMicros: `${s.depositMicros - claimMicros}`,
  })
  tell(s, 'session.settled')
}

/** The oldest transaction will never succeed. */
export function fail(s: Session, nowMs: number): void {
  const planned = s.planned.shift()
  if (planned?.kind === 'top_up') s.topUps.delete(planned.reference)
  if (planned?.kind === 'close') s.channel = 'open'
  if (planned?.kind !== 'open') return
  for (const run of openRuns(s)) run.leaseUntilMs = nowMs
  s.status = 'failed'
  s.channel = 'failed'
  tell(s, 'session.failed', { cause: 'deposit' })
}
