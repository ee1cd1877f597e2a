import type { Fault } from './faults.ts'
import type { Point } from './point.ts'
import { settlementPoints } from './settlementPoints.ts'
import type { Verdict } from './tap.ts'
import type { Victim } from './world.ts'

type Sites = readonly (readonly [site: string, nths: readonly number[]])[]

/** Both before the message is delivered and before its answer is. */
const both = (sites: Sites): Sites =>
  sites.flatMap(([site, nths]) => [[`${site} >`, nths] as const, [`${site} <`, nths] as const])

const AGENT = both([
  ['agent open', [1]],
  ['agent start', [1]],
  ['agent execute', [1, 2, 3]],
  ['agent topUp', [1]],
  ['agent end', [1]],
])

const POSTGRES: Sites = [
  ['commit of open session', [1]],
  ['submit', [1, 2, 3]],
  ['plan', [1]],
  ['commit of plan', [1, 2, 3]],
  ['commit of mark started', [1]],
  ['record', [1, 2, 3]],
  ['move to signed', [1]],
  ['commit of move to signed', [1, 2, 3]],
  ['commit of move to broadcast', [1, 2, 3]],
  ['commit of move to mined', [1, 2, 3]],
  ['move to final', [1, 3]],
  ['post', [1, 2]],
  ['commit of move to final', [1, 2, 3]],
  ['commit of change session', [1, 2]],
  ['begin', [2, 5]],
  ['log', [1]],
].flatMap(([name, nths]) => [[`pg > ${name}`, nths] as const, [`pg < ${name}`, nths] as const]) as Sites

const NODE: Sites = [
  ['node < dispatch', [1, 2, 3]],
  ['node > started', [1, 3]],
  ['node > log', [1, 3]],
  ['node > receipt', [1, 2, 3]],
  ['node < receiptAck', [1, 2, 3]],
  ['node < endSession', [1]],
  ['node < claimRequest', [1]],
  ['node > claim', [1]],
  ['node < forgetSession', [1]],
]

const CHAIN = both([
  ['coordinator eth_sendRawTransaction', [1, 2, 3]],
  ['coordinator eth_call', [1, 3]],
  ['coordinator eth_estimateGas', [1, 2]],
  ['coordinator eth_getTransactionReceipt', [1, 2, 4]],
  ['coordinator eth_getTransactionCount', [1]],
  ['coordinator eth_getLogs', [1]],
  ['watcher eth_call', [1]],
])

const JOURNAL = both([
  ['journal write', [1, 2, 3, 4, 6, 8]],
  ['journal sync', [1, 2, 3]],
])

const kill = (...victims: Victim[]): Fault => ({ kind: 'kill', victims })
const message = (verdict: Verdict): Fault => ({ kind: 'message', verdict })

const PAIRS: readonly Fault[] = [
  kill('coordinator', 'postgres'),
  kill('coordinator', 'node'),
  kill('node', 'postgres'),
  kill('coordinator', 'supervisor'),
  kill('coordinator', 'chain'),
  kill('supervisor', 'node'),
]

/** At each place: who may die there, and what may become of the message. */
const PLAN: readonly { sites: Sites; faults: readonly Fault[]; pairs: number }[] = [
  { sites: AGENT, faults: [kill('coordinator'), message('drop')], pairs: 1 },
  { sites: POSTGRES, faults: [kill('coordinator'), kill('postgres')], pairs: 1 },
  {
    sites: NODE,
    faults: [kill('node'), kill('coordinator'), message('cut'), message('twice'), message('later')],
    pairs: 1,
  },
  {
    sites: CHAIN,
    faults: [kill('coordinator'), kill('chain'), message('drop'), message('refuse')],
    pairs: 0,
  },
  { sites: JOURNAL, faults: [kill('node')], pairs: 1 },
]

const NTHS = [1, 2, 3]
const reorgs = (isKilled: boolean): Fault[] =>
  [1, 2, 3, 4, 5, 6].map((depth) => ({ kind: 'reorg', depth, isKilled }))

/** Three transactions of a round: the deposit, the top-up and the close. */
const UNSTEADY: readonly { sites: Sites; faults: readonly Fault[] }[] = [
  { sites: [['pg < commit of move to mined', NTHS]], faults: [...reorgs(false), ...reorgs(true)] },
  { sites: [['coordinator eth_getTransactionReceipt <', [2, 5, 9, 14]]], faults: reorgs(false) },
  {
    sites: [
      ['pg < commit of move to broadcast', NTHS],
      ['coordinator eth_sendRawTransaction <', NTHS],
    ],
    faults: [{ kind: 'forget' }],
  },
]

const FULL: readonly { sites: Sites; faults: readonly Fault[] }[] = [
  {
    sites: [
      ...POSTGRES.filter(([site]) => site.startsWith('pg > ')).map(([site]) => [site, [1]] as const),
      ['pg > submit', [2, 3]],
      ['pg > record', [2, 3]],
    ],
    faults: [{ kind: 'full disk', of: 'postgres' }],
  },
  {
    sites: [
      ['node < dispatch', NTHS],
      ['journal write >', [1, 2, 3, 4, 6, 8]],
      ['node > receipt', NTHS],
      ['node < claimRequest', [1]],
    ],
    faults: [{ kind: 'full disk', of: 'node' }],
  },
]

/** Every point, in an order that never changes: a point's number is its name. */
export function allPoints(): Point[] {
  let pair = 0
  const plain = PLAN.flatMap(({ sites, faults, pairs }) =>
    sites.flatMap(([site, nths]) =>
      nths.flatMap((nth) => {
        const more = Array.from(
          { length: nth === 1 ? pairs : 0 },
          () => PAIRS[pair++ % PAIRS.length] as Fault,
        )
        return [...faults, ...more].map((fault) => ({ site, nth, fault }))
      }),
    ),
  )
  const special = [...UNSTEADY, ...FULL].flatMap(({ sites, faults }) =>
    sites.flatMap(([site, nths]) => nths.flatMap((nth) => faults.map((fault) => ({ site, nth, fault })))),
  )
  return [...plain, ...special, ...settlementPoints()]
}
