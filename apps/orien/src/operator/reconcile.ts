import { auditLedger, type Drift, selectChannels, selectSettlements } from '@orien/coordinator'
import type { Handler } from '../commands/bind.ts'
import { withDatabase } from '../compose/withDatabase.ts'
import { counted } from '../terminal/amounts.ts'
import { layTable } from '../terminal/table.ts'
import type { Paint } from '../terminal/terminal.ts'
import { compareChannels } from './compareChannels.ts'
import { compareCustody } from './compareCustody.ts'
import { compareWithChain } from './compareWithChain.ts'
import { findDatabase } from './findDatabase.ts'

type Options = { dataDir: string; rpcUrl?: string }

/** `orien reconcile` */
export const reconcile: Handler<Options> = async (shell, options) => {
  const { terminal } = shell
  const place = await findDatabase(shell, options)
  try {
    const { rpcUrl } = place
    const { drifts, settlements, channels, custody } = await withDatabase(
      place.databaseUrl,
      async (pool) => ({
        drifts: await auditLedger(pool),
        settlements: await selectSettlements(pool),
        channels: await selectChannels(pool),
        custody: rpcUrl === undefined ? [] : await compareCustody(pool, rpcUrl),
      }),
    )
    const onChain =
      rpcUrl === undefined
        ? []
        : [
            ...(await compareWithChain(rpcUrl, settlements)),
            ...(await compareChannels(rpcUrl, channels)),
            ...custody,
          ]
    const checks = [...drifts, ...onChain]
    const hasDrift = checks.some(({ violations }) => violations > 0)
    const [settled, opened] = [settlements.length, channels.length]
    if (terminal.isJson) terminal.printJson({ ok: !hasDrift, settlements: settled, channels: opened, checks })
    else for (const line of checkLines(checks, terminal.out)) terminal.print(line)
    if (place.rpcUrl === undefined)
      terminal.say('The chain was not asked: pass --rpc-url to compare with what it paid.')
    else
      terminal.say(
        `${counted(opened, 'channel')} and ${counted(settled, 'settlement')} compared with the chain`,
      )
    return hasDrift ? 1 : 0
  } finally {
    await place.close()
  }
}

/** The checks of an audit for people, and what follows from them. */
export function checkLines(checks: readonly Drift[], paint: Paint): string[] {
  const found = checks.filter(({ violations }) => violations > 0)
  const { rows } = layTable(
    [
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    checks.map(({ check, violations, example }) => [
      `${violations > 0 ? '✗' : '✓'} ${check}`,
      violations > 0 ? `${counted(violations, 'violation')}, e.g. ${example}` : '',
    ]),
  )
  const verdict =
    found.length === 0
      ? paint.green('no drift')
      : paint.red(`${counted(found.length, 'check')} found a drift`)
  return [...rows.map((row) => (row.startsWith('✗') ? paint.red(row) : row)), '', paint.bold(verdict)]
}
