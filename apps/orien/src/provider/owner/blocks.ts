import { loadRules } from '@orien/provider-node'
import type { Handler } from '../../commands/bind.ts'
import { wrongUse } from '../../terminal/wrongUse.ts'
import { changeRules, readPayer, whereInForce } from './rules.ts'

type Options = { dataDir: string }

const payersOf = (args: readonly string[]) => {
  if (args.length === 0) throw wrongUse('The address of a wallet is needed')
  return args.map(readPayer)
}

/** `orien provider block` */
export const blockPayers: Handler<Options> = async ({ terminal }, { dataDir }, args) => {
  const decided = await changeRules(dataDir, { block: payersOf(args) })
  if (terminal.isJson) terminal.printJson({ blocked: decided.rules.blocked, isRunning: decided.isRunning })
  else terminal.print(`blocked: ${args.join(', ')} (${whereInForce(decided)})`)
  return 0
}

/** `orien provider unblock` */
export const unblockPayers: Handler<Options> = async ({ terminal }, { dataDir }, args) => {
  const decided = await changeRules(dataDir, { unblock: payersOf(args) })
  if (terminal.isJson) terminal.printJson({ blocked: decided.rules.blocked, isRunning: decided.isRunning })
  else terminal.print(`served again: ${args.join(', ')} (${whereInForce(decided)})`)
  return 0
}

/** `orien provider blocks` */
export const listBlocks: Handler<Options> = async ({ terminal }, { dataDir }) => {
  const { blocked } = await loadRules(dataDir)
  if (terminal.isJson) terminal.printJson({ items: blocked })
  else if (blocked.length === 0) terminal.say('Nobody is blocked.')
  else for (const payer of blocked) terminal.print(payer)
  return 0
}
