import { type Drift, type LedgerCustody, selectCustody } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import { type ChainClient, connectAnyChain, readBalance } from '@orien/rails'

const CHECK = 'the custody wallet holds at least what agents have in custodial balances'

/** Books and chain cannot be read at one instant: only what stays missing is missing. */
const LOOKS = 3

/**
 * Compares the custodial balances of the ledger with what the custody wallet holds.
 *
 * @throws OrienError `chain_unavailable`
 */
export async function compareCustody(
  pool: Parameters<typeof selectCustody>[0],
  rpcUrl: string,
): Promise<Drift[]> {
  const client = connectAnyChain(rpcUrl)
  let example: string | null = null
  for (let looks = 0; looks < LOOKS; looks += 1) {
    const custody = await selectCustody(pool)
    if (!custody) return []
    example = await missing(client, custody)
    if (example === null) break
  }
  return [{ check: CHECK, violations: example === null ? 0 : 1, example }]
}

async function missing(client: ChainClient, custody: LedgerCustody): Promise<string | null> {
  const { wallets, token, owedMicros, movingMicros } = custody
  let heldMicros = 0n
  for (const wallet of wallets) {
    const reading = await readBalance(client, token, wallet)
    if (reading.status === 'unreachable')
      throw new OrienError('chain_unavailable', `The chain did not answer: ${reading.detail}`)
    heldMicros += reading.micros
  }
  const moving = movingMicros === 0n ? '' : `, ${movingMicros} on its way`
  return heldMicros + movingMicros >= owedMicros
    ? null
    : `${wallets.join(', ')} holds ${heldMicros} of ${owedMicros}${moving}`
}
