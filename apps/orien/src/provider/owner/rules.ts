import { OrienError } from '@orien/protocol'
import { askNode, changeRulesAtRest, lockHolder, type RuleChange, type Rules } from '@orien/provider-node'

/** Where a decision has come into force. */
export type Decided = { rules: Rules; isRunning: boolean }

/** Tells the running node, or, where none runs, writes down what the next one starts with. */
export async function changeRules(
  dataDir: string,
  change: RuleChange & { endWhenDone?: boolean },
): Promise<Decided> {
  if ((await lockHolder(dataDir)) !== null) {
    const rules = await askNode(dataDir, { method: 'PATCH', path: '/rules', body: change })
    return { rules: rules as Rules, isRunning: true }
  }
  const { endWhenDone: _nobodyToEnd, ...kept } = change
  return { rules: await changeRulesAtRest(dataDir, kept), isRunning: false }
}

/** A wallet's address from the command line. */
export function readPayer(text: string): `0x${string}` {
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return text.toLowerCase() as `0x${string}`
  throw new OrienError('validation_failed', `${text} is not an address`, {
    source: 'command line',
    hint: 'A wallet address is 0x and 40 hexadecimal digits; see `payer` in orien provider status --json.',
  })
}

export const whereInForce = ({ isRunning }: Decided): string =>
  isRunning ? 'in force now, and after a restart' : 'no node runs here; the next one starts with it'
