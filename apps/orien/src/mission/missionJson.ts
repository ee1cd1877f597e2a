import type { Mission } from './mission.ts'

/** The one line for programs. Amounts are decimal strings of micro-USDC. */
export function missionJson({ session, executions, settlement, billPath, verdict }: Mission) {
  const { txHash, providerMicros, platformMicros, reserveMicros, refundedMicros } = settlement
  return {
    sessionId: session.id,
    providerId: session.providerId,
    executions: executions.map(({ id, tool, status, reason = null, effectiveMs, costMicros }) => {
      return { id, tool, status, reason, effectiveMs, costMicros }
    }),
    budgetMicros: session.budgetMicros,
    consumedMicros: session.consumedMicros,
    settlement: { txHash, providerMicros, platformMicros, reserveMicros, refundedMicros },
    billPath,
    verified: verdict.verdict === 'verified',
  }
}
