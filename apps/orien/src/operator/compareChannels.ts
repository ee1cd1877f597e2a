import type { Drift, LedgerChannel } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import { type ChainClient, chains, connectAnyChain, readChannel, readHoldings } from '@orien/rails'

/** Questions to the chain at once. */
const AT_ONCE = 8

const CHECKS = {
  deposit: 'every channel holds the deposit that the ledger has of it',
  settled: 'every channel has paid what the ledger has settled of it, or a part of what it will',
  closed: 'a channel is closed on the chain when it is in the ledger, and not before',
  escrow: 'the escrow holds at least what the ledger has in open channels',
} as const

type Finding = { check: keyof typeof CHECKS; example: string }

/**
 * Compares every channel of the ledger with the escrow's own record of it. Channels with a transaction under way are
 * left out: the chain is rightly ahead of them.
 *
 * @throws OrienError `chain_unavailable`
 */
export async function compareChannels(rpcUrl: string, channels: readonly LedgerChannel[]): Promise<Drift[]> {
  const client = connectAnyChain(rpcUrl)
  const still = channels.filter(({ isMoving }) => !isMoving)
  const seen: Seen[] = []
  for (let at = 0; at < still.length; at += AT_ONCE) {
    const group = still.slice(at, at + AT_ONCE)
    seen.push(...(await Promise.all(group.map((channel) => compareOne(client, channel)))))
  }
  const findings = [...seen.flatMap(({ findings }) => findings), ...(await compareEscrows(client, seen))]
  return Object.entries(CHECKS).map(([name, check]) => {
    const found = findings.filter((finding) => finding.check === name)
    return { check, violations: found.length, example: found[0]?.example ?? null }
  })
}

/** A channel beside what the chain says of it. */
type Seen = { ledger: LedgerChannel; paidMicros: bigint; findings: Finding[] }

async function compareOne(client: ChainClient, ledger: LedgerChannel): Promise<Seen> {
  const { sessionId } = ledger
  const reading = await readChannel(client, ledger.escrow, ledger.channelId)
  if (reading.status === 'unreachable') throw unavailable(reading.detail)
  if (reading.status === 'absent') {
    const finding: Finding = { check: 'deposit', example: `${sessionId} has no channel there` }
    return { ledger, paidMicros: 0n, findings: [finding] }
  }
  const { depositMicros, settledMicros, phase } = reading.channel
  const findings: Finding[] = []
  const differ = (check: Finding['check'], chain: bigint, books: bigint) => {
    if (chain === books) return
    findings.push({ check, example: `${sessionId}: the chain says ${chain}, the ledger ${books}` })
  }
  differ('deposit', depositMicros, ledger.depositMicros)
  // The books post once, when the channel is closed; until then its provider may claim what its receipts say.
  const isPart = !ledger.isClosed && settledMicros <= ledger.spentMicros
  if (!isPart) differ('settled', settledMicros, ledger.settledMicros)
  if ((phase === 'finalized') !== ledger.isClosed)
    findings.push({ check: 'closed', example: `${sessionId} is ${phase} on the chain` })
  return { ledger, paidMicros: settledMicros, findings }
}

async function compareEscrows(client: ChainClient, seen: readonly Seen[]): Promise<Finding[]> {
  const owed = new Map<LedgerChannel['escrow'], bigint>()
  for (const { ledger, paidMicros } of seen) {
    const { escrow, isClosed, depositMicros } = ledger
    if (!isClosed) owed.set(escrow, (owed.get(escrow) ?? 0n) + depositMicros - paidMicros)
  }
  const findings: Finding[] = []
  for (const [escrow, owedMicros] of owed) {
    const held = await readHoldings(client, chains.local, escrow)
    if (held.status === 'unreachable') throw unavailable(held.detail)
    if (held.escrowMicros < owedMicros)
      findings.push({ check: 'escrow', example: `${escrow} holds ${held.escrowMicros} of ${owedMicros}` })
  }
  return findings
}

function unavailable(detail: string): OrienError {
  return new OrienError('chain_unavailable', `The chain did not answer: ${detail}`)
}
