import { getEarnings } from '@orien/protocol'
import { type Earnings, type EarningsRow, loadEarnings, loadProvider } from '@orien/provider-node'
import { Orien } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'
import { readKeyFile } from '../agent/keyFile.ts'
import type { Handler, Shell } from '../commands/bind.ts'
import { exactUsdc, groupedMs } from '../terminal/amounts.ts'
import { layTable } from '../terminal/table.ts'
import { wrongUse } from '../terminal/wrongUse.ts'

type Options = { dataDir: string; by: string; since?: string; coordinator?: string; ownerKeyFile?: string }

const GROUPS = ['day', 'tool', 'session'] as const

/** `orien provider earnings`: from the node's own book and journal; with the owner's key, beside the coordinator's. */
export const providerEarnings: Handler<Options> = async (shell, options) => {
  const { terminal } = shell
  const group = GROUPS.find((known) => known === options.by)
  if (!group) throw wrongUse(`--by is one of ${GROUPS.join(', ')}`)
  if (options.since !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(options.since))
    throw wrongUse('--since is a day: 2026-06-01')
  const earnings = await loadEarnings(options.dataDir, options.since)
  const statement = await statementOf(shell, options)
  if (terminal.isJson) terminal.printJson({ ...earnings, ...(statement ? { coordinator: statement } : {}) })
  else {
    for (const line of tableOf(earnings, group)) terminal.print(line)
    for (const line of totalLines(earnings)) terminal.print(line)
    if (statement) {
      const { grossMicros, pendingMicros, settledMicros } = statement
      terminal.print(
        `coordinator  ${exactUsdc(grossMicros)} gross, ${exactUsdc(pendingMicros)} pending, ${exactUsdc(settledMicros)} settled`,
      )
    }
  }
  return 0
}

/** The coordinator shows a statement to the owner's wallet alone. */
async function statementOf({ settings }: Shell, { dataDir, coordinator, ownerKeyFile }: Options) {
  if (ownerKeyFile === undefined) return null
  const { registration, coordinatorUrl } = await loadProvider(dataDir)
  const baseUrl = coordinator ?? coordinatorUrl ?? settings.coordinatorUrl
  const owner = new Orien({ baseUrl, account: privateKeyToAccount(await readKeyFile(ownerKeyFile)) })
  const { items: _lines, ...sums } = await owner.call(getEarnings, {
    query: { providerId: registration.providerId, limit: 1 },
  })
  return sums
}

function tableOf(earnings: Earnings, group: (typeof GROUPS)[number]): string[] {
  const rows: readonly (EarningsRow & { state?: string })[] = earnings[`${group}s`]
  const states = group === 'session'
  const columns = [
    { title: group, align: 'left' },
    { title: 'runs', align: 'right' },
    { title: 'effective ms', align: 'right' },
    { title: 'gross USDC', align: 'right' },
    ...(states ? [{ title: 'state', align: 'left' } as const] : []),
  ] as const
  const cells = rows.map(({ key, runs, effectiveMs, grossMicros, state }) => [
    key,
    String(runs),
    groupedMs(effectiveMs),
    exactUsdc(grossMicros),
    ...(states ? [state ?? ''] : []),
  ])
  const { head, rows: lines } = layTable(columns, cells)
  return [head, ...lines, '']
}

function totalLines({ totals, providerMicros, grossMicros }: Earnings): string[] {
  const { claimable, closing, settling, paid, unknown } = totals
  return [
    `gross        ${exactUsdc(grossMicros)} USDC`,
    `your share   ${exactUsdc(providerMicros)} USDC`,
    `  unclaimed  ${exactUsdc(claimable)}  vouchers that this node holds; the coordinator claims them at the end of each session`,
    `  closing    ${exactUsdc(closing)}  the close is signed`,
    `  settling   ${exactUsdc(settling)}  on its way, not final on the chain`,
    `  paid       ${exactUsdc(paid)}  final on the chain`,
    ...(unknown > 0n
      ? [`  unknown    ${exactUsdc(unknown)}  settled before this node kept a book of it`]
      : []),
  ]
}
