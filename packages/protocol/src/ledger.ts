import { invariant } from './invariant.ts'
import { micros, type UsdcMicros } from './money.ts'
import { splitCumulative } from './split.ts'

/** Accounts of the ledger; the id inside makes each one unique. */
export type AccountName =
  | `agents:${string}:available`
  /** What the reserve owes an agent. */
  | `agents:${string}:refunds`
  | `agents:${string}:committed`
  | `agents:${string}:withdrawing`
  | `sessions:${string}:budget`
  | `sessions:${string}:payable`
  | `providers:${string}:earnings`
  | 'platform:fees'
  | 'platform:reserve'
  | `rails:${string}:inbound`
  | `rails:${string}:outbound`

/** One leg of a transfer; the legs of a transfer sum to zero. */
export type Posting = { account: AccountName; amountMicros: bigint }

/** What a transfer is for. */
export type TransferKind =
  | 'deposit'
  | 'capture'
  | 'correction'
  | 'settlement'
  | 'payout'
  | 'refund'
  | 'reserve_refund'
  | 'reserve_payout'
  | CustodyMove

/** A transfer to be written as it is. */
export type Transfer = { kind: TransferKind; postings: readonly Posting[] }

function transfer(kind: TransferKind, postings: readonly Posting[]): Transfer {
  const sum = postings.reduce((total, posting) => total + posting.amountMicros, 0n)
  invariant(sum === 0n, `a ${kind} sums to zero`)
  return { kind, postings: postings.filter((posting) => posting.amountMicros !== 0n) }
}

/** A deposit that is final on the rail becomes the session's budget. */
export function planDeposit(rail: string, sessionId: string, amount: UsdcMicros): Transfer {
  return transfer('deposit', [
    { account: `rails:${rail}:inbound`, amountMicros: -amount },
    { account: `sessions:${sessionId}:budget`, amountMicros: amount },
  ])
}

/** The cost of a run moves from the budget to what the session owes. */
export function planCapture(sessionId: string, cost: UsdcMicros): Transfer {
  return transfer('capture', [
    { account: `sessions:${sessionId}:budget`, amountMicros: -cost },
    { account: `sessions:${sessionId}:payable`, amountMicros: cost },
  ])
}

/**
 * The chain paid another sum than the receipts: nothing, when the provider never claimed, or what it claimed by itself.
 * The chain is right; the difference goes back to the budget, or comes out of it.
 */
export function planCorrection(sessionId: string, spent: UsdcMicros, settled: UsdcMicros): Transfer {
  return transfer('correction', [
    { account: `sessions:${sessionId}:payable`, amountMicros: settled - spent },
    { account: `sessions:${sessionId}:budget`, amountMicros: spent - settled },
  ])
}

/** What a final settlement posts: the split, the payout that the chain made, and the refund. */
export function planSettlement(input: {
  rail: string
  sessionId: string
  providerId: string
  depositMicros: UsdcMicros
  spentMicros: UsdcMicros
}): readonly Transfer[] {
  const { rail, sessionId, providerId, spentMicros } = input
  const shares = splitCumulative(spentMicros)
  const refund = micros(input.depositMicros - spentMicros)
  return [
    transfer('settlement', [
      { account: `sessions:${sessionId}:payable`, amountMicros: -spentMicros },
      { account: `providers:${providerId}:earnings`, amountMicros: shares.providerMicros },
      { account: 'platform:fees', amountMicros: shares.platformMicros },
      { account: 'platform:reserve', amountMicros: shares.reserveMicros },
    ]),
    transfer('payout', [
      { account: `providers:${providerId}:earnings`, amountMicros: -shares.providerMicros },
      { account: `rails:${rail}:outbound`, amountMicros: shares.providerMicros },
    ]),
    transfer('refund', [
      { account: `sessions:${sessionId}:budget`, amountMicros: -refund },
      { account: `rails:${rail}:outbound`, amountMicros: refund },
    ]),
  ].filter((planned) => planned.postings.length > 0)
}

/** What the rules refund of a settled cost moves from the reserve to what it owes the agent. */
export function planReserveRefund(agentId: string, amount: UsdcMicros): Transfer {
  return transfer('reserve_refund', [
    { account: 'platform:reserve', amountMicros: -amount },
    { account: `agents:${agentId}:refunds`, amountMicros: amount },
  ])
}

type Pocket = 'available' | 'committed' | 'withdrawing' | 'in' | 'out'

/** Where a custodial balance's money goes, by what happens to it; `in` and `out` are the custody wallet's. */
const CUSTODY_MOVES = {
  custody_deposit: ['in', 'available'],
  /** A session was opened on it. */
  custody_commit: ['available', 'committed'],
  /** Its channel is open: what was committed is in the escrow. */
  custody_fund: ['committed', 'out'],
  /** Its channel never was. */
  custody_release: ['committed', 'available'],
  custody_refund: ['in', 'available'],
  custody_withdraw: ['available', 'withdrawing'],
  custody_paid: ['withdrawing', 'out'],
} as const satisfies Record<string, readonly [Pocket, Pocket]>
/** See {@link planCustody}. */
export type CustodyMove = keyof typeof CUSTODY_MOVES

/** What happens to an agent's custodial balance. */
export function planCustody(move: CustodyMove, agentId: string, amount: UsdcMicros): Transfer {
  const [from, to] = CUSTODY_MOVES[move]
  const accounts = {
    available: `agents:${agentId}:available`,
    committed: `agents:${agentId}:committed`,
    withdrawing: `agents:${agentId}:withdrawing`,
    in: 'rails:custody:inbound',
    out: 'rails:custody:outbound',
  } as const
  return transfer(move, [
    { account: accounts[from], amountMicros: -amount },
    { account: accounts[to], amountMicros: amount },
  ])
}
