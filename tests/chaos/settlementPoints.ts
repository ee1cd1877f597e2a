import type { Fault } from './faults.ts'
import type { Point } from './point.ts'
import type { Story } from './stories.ts'

/** Every boundary of one of the relayer's transactions: planned, signed and stored, sent, mined, final. */
const BOUNDARIES = [
  'pg > plan',
  'pg > commit of plan',
  'pg < commit of plan',
  'pg > move to signed',
  'pg > keep bytes',
  'pg > commit of move to signed',
  'pg < commit of move to signed',
  'coordinator eth_sendRawTransaction >',
  'coordinator eth_sendRawTransaction <',
  'pg > commit of move to broadcast',
  'pg < commit of move to broadcast',
  'coordinator eth_getTransactionReceipt <',
  'pg > commit of move to mined',
  'pg < commit of move to mined',
  'pg > move to final',
  'pg > post',
  'pg > commit of move to final',
  'pg < commit of move to final',
]

const CLAIM = ['node < claimRequest', 'node > claim']
const LOST = ['coordinator eth_sendRawTransaction >', 'coordinator eth_sendRawTransaction <']
const AWAY = [
  'pg < commit of plan',
  'pg < commit of move to signed',
  ...LOST.slice(1),
  'pg < commit of move to mined',
]

const kill: Fault = { kind: 'kill', victims: ['coordinator'] }
const killNode: Fault = { kind: 'kill', victims: ['node'] }
const drop: Fault = { kind: 'message', verdict: 'drop' }
const reorgs = [1, 2, 3, 4, 5, 6].flatMap((depth): Fault[] => [
  { kind: 'reorg', depth, isKilled: false },
  { kind: 'reorg', depth, isKilled: true },
])

type Row = readonly [sites: readonly string[], faults: readonly Fault[]]

/** What may happen to any transaction, whatever it is for. */
const ANY: readonly Row[] = [
  [BOUNDARIES, [kill]],
  [LOST, [drop]],
  [AWAY, [{ kind: 'rpc down' }]],
  [['pg < commit of plan', 'pg < commit of move to signed'], [{ kind: 'fee spike' }]],
  [['pg < commit of move to mined'], reorgs],
  [['pg < commit of move to broadcast', ...LOST.slice(1)], [{ kind: 'forget' }]],
]

const STORIES: readonly { story: Story; nths: readonly number[]; rows: readonly Row[] }[] = [
  {
    story: 'three sessions',
    nths: [1],
    rows: [[CLAIM, [kill, killNode, drop, { kind: 'rpc down' }]], ...ANY],
  },
  {
    story: 'forced exit',
    nths: [1],
    rows: [
      [
        ['coordinator eth_getLogs >', 'coordinator eth_getLogs <'],
        [kill, drop],
      ],
      [['pg > commit of change session', 'pg < commit of change session'], [kill]],
      [CLAIM, [kill, killNode, drop, { kind: 'rpc down' }]],
      ...ANY,
    ],
  },
  // The request to close first, the refund after the grace period.
  { story: 'provider gone', nths: [1, 2], rows: ANY },
  // The deposit, the opening, the close with its payout, the withdrawal.
  { story: 'custodial balance', nths: [1, 2, 3, 4], rows: ANY },
]

/** Points at every step that settles: batches, claims that answer a forced exit, relayed exits and their refunds, custodial transfers. */
export const settlementPoints = (): Point[] =>
  STORIES.flatMap(({ story, nths, rows }) =>
    rows.flatMap(([sites, faults]) =>
      sites.flatMap((site) => nths.flatMap((nth) => faults.map((fault) => ({ site, nth, fault, story })))),
    ),
  )
