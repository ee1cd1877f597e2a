import type { SessionView } from '@orien/protocol'
import { counted, exactUsdc, shortTime } from '../terminal/amounts.ts'
import { layTable } from '../terminal/table.ts'
import type { Paint } from '../terminal/terminal.ts'

/** A session for people. */
export function sessionLines(view: SessionView, paint: Paint): string[] {
  const rows: [string, string][] = [
    ['session', view.id],
    ['provider', view.providerId],
    ['status', view.status],
    ['rate', `${exactUsdc(view.rateMicrosPerMinute)} USDC per effective minute`],
    ['budget', `${exactUsdc(view.budgetMicros)} USDC`],
    [
      'consumed',
      `${exactUsdc(view.consumedMicros)} USDC in ${shortTime(view.effectiveMs)} of ${counted(view.executions, 'run')}`,
    ],
    ['held', `${exactUsdc(view.heldMicros)} USDC`],
    ['remaining', `${exactUsdc(view.remainingMicros)} USDC`],
    ['channel', view.channelStatus],
  ]
  const laid = layTable(
    [{ title: '', align: 'left' }],
    rows.map(([name]) => [name]),
  )
  return rows.map(([name, value]) => `${paint.dim(name.padEnd(laid.width))}  ${value}`)
}

/** Where the money of an ended session went, in one line; null when nothing is known of it yet. */
export function settlementLine({ settlement }: SessionView): string | null {
  if (!settlement) return null
  const { status, txHash, providerMicros, platformMicros, reserveMicros, refundedMicros } = settlement
  const parts = `provider ${exactUsdc(providerMicros)}, platform ${exactUsdc(platformMicros)}, reserve ${exactUsdc(reserveMicros)}, refunded ${exactUsdc(refundedMicros)}`
  return `settlement ${status}${txHash === undefined ? '' : ` in ${txHash}`}: ${parts}`
}
