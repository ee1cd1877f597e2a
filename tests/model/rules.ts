import { least, openRuns, type Session } from './reference.ts'

/** What must hold of any session at any time, whatever happened before. */
export function broken(s: Session): string[] {
  const runs = [...s.runs.values()]
  const sum = (amounts: bigint[]) => amounts.reduce((total, amount) => total + amount, 0n)
  const balance = (account: string) => s.entries.get(`sessions:${s.id}:${account}`) ?? 0n
  const cover = least(s.budgetMicros, s.authorisedMicros)
  const rules: [string, boolean][] = [
    ['entries sum to zero', sum([...s.entries.values()]) === 0n],
    ['spent + held is covered by budget and voucher', s.spentMicros + s.heldMicros <= cover],
    ['held is the sum of the open holds', s.heldMicros === sum(openRuns(s).map((run) => run.holdMicros))],
    ['spent is the sum of the captures', s.spentMicros === sum(runs.map((run) => run.costMicros))],
    ['no capture exceeds its hold', runs.every((run) => run.costMicros <= run.holdMicros)],
    ['one receipt a capture', runs.filter((run) => run.receiptHash !== null).length === s.receipts],
    ['only what was deposited is spent', balance('budget') >= 0n && s.spentMicros <= s.budgetMicros],
    ['what is owed is what was spent', s.status === 'settled' || balance('payable') === s.spentMicros],
    [
      'nothing is left after the settlement',
      s.channel !== 'closed' || balance('budget') + balance('payable') === 0n,
    ],
  ]
  return rules.filter(([, isTrue]) => !isTrue).map(([rule]) => `${s.id}: ${rule}`)
}
