import { micros, type ProviderView } from '@orien/protocol'
import type { Earnings, loadProvider } from '@orien/provider-node'
import { counted, exactUsdc, shortTime } from '../terminal/amounts.ts'
import { layTable } from '../terminal/table.ts'
import { printable } from '../terminal/terminal.ts'
import { keptText } from './keptText.ts'

/** What `GET /status` of a node tells, as far as it is shown. */
export type NodeStatus = {
  mode: string
  version: string
  isolation: string
  driver: string
  running: number
  queued: number
  slots: number
  limits: Record<string, number>
  blocked: string[]
  unacknowledgedReceipts: number
  refusedReceipts: unknown[]
  isDrained: boolean
  link: {
    state: string
    refusal?: { code: string; detail: string }
    rival?: { at: string }
    clock?: { skewMs: number; uncertaintyMs: number }
  }
  selfClaim?: {
    operator: string
    fault?: { code: string; detail: string }
    last?: { at: string; hash: string; status: string; sessions: number; claimedMicros: string }
  }
  runs: { executionId: string; sessionId: string; tool: string; runningMs: number; deadlineMs: number }[]
  sessions: {
    sessionId: string
    state: string
    receipts: number
    earnedMicros: string
    authorisedMicros: string
    runs: number
  }[]
}

/** What the next start on a data directory would begin with. */
type AtRest = { mode: string; keptSessions: number }

/** Both sides' accounts; a code in the place of one that is not to be had. */
export type Facts = {
  local: Awaited<ReturnType<typeof loadProvider>>
  baseUrl: string
  node: NodeStatus | string
  atRest: AtRest
  seen: ProviderView | string
  earnings: Earnings
}

const PAIR = [
  { title: '', align: 'left' },
  { title: '', align: 'left' },
] as const
const BAR_CELLS = 20
const SHOWN_RUNS = 12
const SHOWN_SESSIONS = 8

/** What an owner sees of a node, a line each. */
export function statusLines(facts: Facts): string[] {
  const { node } = facts
  const head = layTable(PAIR, [...identity(facts), ...account(facts), ...money(facts)]).rows
  return typeof node === 'string' ? head : [...head, ...runLines(node), ...sessionLines(node)]
}

function identity({ local, baseUrl, seen }: Facts): string[][] {
  const { registration, rateMicrosPerMinute, chain } = local
  const track = typeof seen === 'string' ? undefined : seen.reputation
  const shown = typeof seen === 'string' ? (seen === 'not_found' ? 'not registered' : seen) : seen.status
  return [
    ['provider', registration.providerId],
    ['name', printable(registration.name)],
    ['rate', `${exactUsdc(rateMicrosPerMinute)} USDC per effective minute`],
    ['paid to', registration.payout],
    ['chain', `${chain.chainId}, escrow ${chain.escrow}`],
    ['coordinator', baseUrl],
    ['status', shown],
    ['tools', typeof seen === 'string' ? '' : seen.tools.map(({ id }) => id).join(', ')],
    [
      'record',
      track
        ? `${track.completedExecutions} completed, ${track.failedExecutions} failed, ${track.disputes} disputed`
        : '',
    ],
  ]
}

/** A mode outlives the node, and is easily forgotten. */
export const modeText = (mode: string): string =>
  `${mode === 'killed' ? 'killed, takes no work' : `${mode}, takes no new sessions`} (orien provider resume)`

function resting({ mode, keptSessions }: AtRest): string[][] {
  const next = mode === 'open' ? '' : `; the next one is ${modeText(mode)}`
  return [
    ['node', `does not run here${next}`],
    ...(keptSessions === 0 ? [] : [['files', keptText(keptSessions)]]),
  ]
}

function account({ node, atRest }: Facts): string[][] {
  if (node === 'provider_offline') return resting(atRest)
  if (typeof node === 'string') return [['node', node]]
  const { link, blocked } = node
  const clock = link.clock ? `${link.clock.skewMs} ms ± ${link.clock.uncertaintyMs} to the coordinator's` : ''
  const refusal = link.refusal ? `${link.refusal.code}: ${printable(link.refusal.detail)}` : ''
  const rival = link.rival ? `another node with this key was refused at ${link.rival.at}` : ''
  const untold = `${counted(node.unacknowledgedReceipts, 'receipt')} untold, ${node.refusedReceipts.length} refused`
  return [
    ['node', `${node.mode}${node.isDrained ? ', nothing under way' : ''}, version ${node.version}`],
    ['link', [link.state, refusal, rival].filter((part) => part !== '').join('; ')],
    ['clock', clock],
    ['isolation', `${node.isolation} (${node.driver})`],
    ['slots', `${node.running} of ${node.slots} in use, ${counted(node.queued, 'run')} waiting`],
    ['blocked', blocked.length === 0 ? 'nobody' : counted(blocked.length, 'wallet')],
    ['receipts', untold],
    ...selfClaim(node),
  ]
}

/** What the node did, or could not do, without its coordinator. */
function selfClaim({ selfClaim: own }: NodeStatus): string[][] {
  const { fault, last } = own ?? {}
  const warning = fault?.code === 'insufficient_funds' ? 'operator_without_gas' : fault?.code
  return [
    ...(fault ? [['own claims', `WARNING ${warning}: ${printable(fault.detail)}`]] : []),
    ...(last
      ? [
          [
            'last of them',
            `${exactUsdc(micros(BigInt(last.claimedMicros)))} USDC of ${counted(last.sessions, 'session')} at ${last.at}, ${last.status}: ${last.hash}`,
          ],
        ]
      : []),
  ]
}

function money({ earnings }: Facts): string[][] {
  const { totals, providerMicros, runs, days } = earnings
  const unclaimed = micros(totals.claimable + totals.closing)
  const today = days[0]
  const last = today ? `; ${today.key}: ${counted(today.runs, 'run')}` : ''
  return [
    ['earned', `${exactUsdc(providerMicros)} USDC in ${counted(runs, 'run')}${last}`],
    [
      'unclaimed',
      `${exactUsdc(unclaimed)} USDC; settling ${exactUsdc(totals.settling)}, paid ${exactUsdc(totals.paid)}`,
    ],
  ]
}

function runLines({ runs }: NodeStatus): string[] {
  if (runs.length === 0) return []
  const lines = runs.slice(0, SHOWN_RUNS).map(({ executionId, tool, runningMs, deadlineMs }) => {
    const done = Math.min(BAR_CELLS, Math.floor((runningMs / deadlineMs) * BAR_CELLS))
    const bar = `${'█'.repeat(done)}${'░'.repeat(BAR_CELLS - done)}`
    const time = runningMs === 0 ? 'waits' : `${shortTime(runningMs)} of at most ${shortTime(deadlineMs)}`
    return `${bar}  ${tool}  ${time}  ${executionId}`
  })
  return ['', `runs${more(runs.length, SHOWN_RUNS)}`, ...lines]
}

function sessionLines({ sessions }: NodeStatus): string[] {
  const open = sessions.filter(({ state }) => state === 'open')
  if (open.length === 0) return []
  const rows = open
    .slice(0, SHOWN_SESSIONS)
    .map(({ sessionId, receipts, earnedMicros, authorisedMicros, runs }) => [
      sessionId,
      counted(receipts, 'receipt'),
      counted(runs, 'run'),
      `${exactUsdc(micros(BigInt(earnedMicros)))} of ${exactUsdc(micros(BigInt(authorisedMicros)))} USDC authorised`,
    ])
  const columns = [...PAIR, ...PAIR]
  return ['', `sessions${more(open.length, SHOWN_SESSIONS)}`, ...layTable(columns, rows).rows]
}

const more = (count: number, shown: number) => (count > shown ? ` (${shown} of ${count})` : '')
