import type { ProviderView } from '@orien/protocol'
import { toolId } from '@orien/protocol/manifest'
import { listPublicProviders } from '@orien/sdk/directory'
import type { Handler } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { layTable } from '../terminal/table.ts'
import { type Paint, printable } from '../terminal/terminal.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { readUsdc } from './amount.ts'
import { coordinatorOf } from './coordinator.ts'
import { httpFetch } from './httpFetch.ts'

type Options = { tool?: string; maxRate?: string; online?: boolean; coordinator?: string }

/** `orien providers` */
export const listProviders: Handler<Options> = async (shell, options) => {
  const { terminal } = shell
  const { tool, online } = options
  if (tool !== undefined && !toolId.safeParse(tool).success) throw wrongUse(`"${tool}" is not a tool's name`)
  const maxRateMicros = readUsdc('--max-rate', options.maxRate)
  const filter = {
    ...(tool === undefined ? {} : { tool }),
    ...(maxRateMicros === undefined ? {} : { maxRateMicros }),
    ...(online ? { online } : {}),
  }
  const found = await listPublicProviders(coordinatorOf(shell, options), filter, httpFetch)
  if (terminal.isJson) terminal.printJson({ items: found })
  else if (found.length > 0) for (const line of providersTable(found, terminal.out)) terminal.print(line)
  else terminal.say('no provider matches')
  return 0
}

const percent = (share: number) => `${Math.round(share * 100)} %`

/** Providers for people, one a line. */
export function providersTable(providers: readonly ProviderView[], paint: Paint): string[] {
  const { head, rows } = layTable(
    [
      { title: 'provider', align: 'left' },
      { title: 'name', align: 'left' },
      { title: 'status', align: 'left' },
      { title: 'USDC/min', align: 'right' },
      { title: 'isolation', align: 'left' },
      { title: 'runs', align: 'right' },
      { title: 'reliable', align: 'right' },
      { title: 'up', align: 'right' },
      { title: 'tools', align: 'left' },
    ],
    providers.map(({ id, name, status, rateMicrosPerMinute, isolation, reputation, tools }) => [
      id,
      printable(name),
      status,
      exactUsdc(rateMicrosPerMinute),
      isolation,
      String(reputation.completedExecutions),
      // One half is what is said of somebody unknown.
      reputation.weightMicros === 0n ? '-' : percent(reputation.reliability),
      percent(reputation.uptime.share),
      tools.map((tool) => tool.id).join(' '),
    ]),
  )
  return [
    paint.dim(head),
    ...rows.map((row, index) => (providers[index]?.status === 'online' ? row : paint.dim(row))),
  ]
}
