import type { Drift, LedgerSettlement } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import { type ChainClient, connectAnyChain, readSettlement, type Settlement } from '@orien/rails'

/** Questions to the chain at once. */
const AT_ONCE = 8

/**
 * Compares what the ledger says was paid with what the chain's own logs say, session by session and in sum.
 *
 * @throws OrienError `chain_unavailable`
 */
export async function compareWithChain(
  rpcUrl: string,
  settlements: readonly LedgerSettlement[],
): Promise<Drift[]> {
  const client = connectAnyChain(rpcUrl)
  const wrong: string[] = []
  let difference = 0n
  for (let at = 0; at < settlements.length; at += AT_ONCE) {
    const group = settlements.slice(at, at + AT_ONCE)
    const found = await Promise.all(group.map((settlement) => readOne(client, settlement)))
    group.forEach((settlement, index) => {
      const paid = found[index] ?? null
      difference += sumOf(settlement) - (paid ? sumPaid(paid) : 0n)
      if (!paid || !agree(settlement, paid)) wrong.push(settlement.sessionId)
    })
  }
  return [
    {
      check: 'every settlement is on the chain, share by share',
      violations: wrong.length,
      example: wrong[0] ?? null,
    },
    {
      check: 'what the chain paid is what the ledger settled, in sum',
      violations: difference === 0n ? 0 : 1,
      example: difference === 0n ? null : `the ledger settled ${difference} micro-USDC more`,
    },
  ]
}

async function readOne(client: ChainClient, { closing }: LedgerSettlement): Promise<Settlement | null> {
  if (!closing) return null
  const { escrow, channelId, txHash, openedBlock, closedBlock } = closing
  const range = { fromBlock: openedBlock, toBlock: closedBlock }
  const reading = await readSettlement(client, escrow, channelId, range)
  if (reading.status === 'unreachable') {
    throw new OrienError('chain_unavailable', `The chain did not answer: ${reading.detail}`)
  }
  if (reading.status === 'open' || reading.settlement.txHash !== txHash) return null
  return reading.settlement
}

const sumOf = (ledger: LedgerSettlement) =>
  ledger.providerMicros + ledger.platformMicros + ledger.reserveMicros + ledger.refundedMicros

const sumPaid = (paid: Settlement) =>
  paid.payeeMicros + paid.platformMicros + paid.reserveMicros + paid.refundMicros

function agree(ledger: LedgerSettlement, paid: Settlement): boolean {
  return (
    ledger.providerMicros === paid.payeeMicros &&
    ledger.platformMicros === paid.platformMicros &&
    ledger.reserveMicros === paid.reserveMicros &&
    ledger.refundedMicros === paid.refundMicros
  )
}
