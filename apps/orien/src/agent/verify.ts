import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import { OrienError } from '@orien/protocol'
import { verifyBillText } from '@orien/sdk'
import type { Handler } from '../commands/bind.ts'
import { verdictLines } from './verdict.ts'

type Options = { rpcUrl?: string; coordinatorKey?: string; escrow?: string }

/** `orien verify` */
export const verifyBillFile: Handler<Options> = async ({ terminal, settings }, options, [path = '']) => {
  const text = await (path === '-' ? textOf(process.stdin) : readFile(path, 'utf8')).catch(
    (cause: unknown) => {
      throw new OrienError('unreadable', `The file ${path} cannot be read`, {}, { cause })
    },
  )
  const rpcUrl = options.rpcUrl ?? settings.rpcUrl
  const verdict = await verifyBillText(text, {
    rpcUrl,
    pinnedCoordinatorKey: options.coordinatorKey,
    pinnedEscrow: options.escrow,
  })
  if (terminal.isJson) terminal.printJson(verdict)
  else for (const line of verdictLines(verdict, terminal.out)) terminal.print(line)
  if (verdict.verdict === 'consistent')
    terminal.say('The chain was not asked: pass --rpc-url to verify the payout too.')
  return verdict.verdict === 'rejected' ? 1 : 0
}
