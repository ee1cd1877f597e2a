import { OrienError, type ProviderView } from '@orien/protocol'
import { loadProvider } from '@orien/provider-node'
import { Orien } from '@orien/sdk'
import type { Handler } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { layTable } from '../terminal/table.ts'
import { printable } from '../terminal/terminal.ts'

/** `orien provider status`; ends with 1 when agents cannot rent this node now. */
export const providerStatus: Handler<{ dataDir: string; coordinator?: string }> = async (shell, options) => {
  const { terminal, settings } = shell
  const local = await loadProvider(options.dataDir)
  const baseUrl = options.coordinator ?? local.coordinatorUrl ?? settings.coordinatorUrl
  const { providerId } = local.registration
  const seen = await new Orien({ baseUrl }).provider(providerId).catch((error: unknown) => {
    if (error instanceof OrienError && error.code === 'not_found') return null
    throw error
  })
  const status = seen?.status ?? 'not registered'
  if (terminal.isJson) terminal.printJson({ providerId, coordinator: baseUrl, status, seen })
  else for (const line of statusLines({ local, baseUrl, seen })) terminal.print(line)
  return status === 'online' ? 0 : 1
}

type Facts = { local: Awaited<ReturnType<typeof loadProvider>>; baseUrl: string; seen: ProviderView | null }

function statusLines({ local, baseUrl, seen }: Facts): string[] {
  const { registration, rateMicrosPerMinute, chain } = local
  const track = seen?.reputation
  return layTable(
    [
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    [
      ['provider', registration.providerId],
      ['name', printable(registration.name)],
      ['rate', `${exactUsdc(rateMicrosPerMinute)} USDC per effective minute`],
      ['paid to', registration.payout],
      ['chain', `${chain.chainId}, escrow ${chain.escrow}`],
      ['coordinator', baseUrl],
      ['status', seen?.status ?? 'not registered'],
      ['tools', seen?.tools.map(({ id }) => id).join(', ') ?? ''],
      ['isolation', seen?.isolation ?? ''],
      ['runs', track ? `${track.completedExecutions} completed, ${track.failedExecutions} failed` : ''],
      ['disputes', track ? String(track.disputes) : ''],
    ],
  ).rows
}
