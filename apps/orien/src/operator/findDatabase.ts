import { existsSync } from 'node:fs'
import { startEmbeddedPostgres } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import type { Shell } from '../commands/bind.ts'
import { pathsIn, readRunning } from '../compose/dataDir.ts'

/** Where an operator's command finds books and chain. */
type Place = { databaseUrl: string; rpcUrl: string | undefined; close: () => Promise<void> }

/** The database that is named, else that of the stack which runs here, else the one that lies here. */
export async function findDatabase(
  { settings }: Shell,
  options: { dataDir: string; rpcUrl?: string },
): Promise<Place> {
  const rpcUrl = options.rpcUrl ?? settings.rpcUrl
  const close = async () => {}
  if (settings.databaseUrl !== undefined) return { databaseUrl: settings.databaseUrl, rpcUrl, close }
  const dir = pathsIn(options.dataDir)
  const running = await readRunning(dir)
  if (running) return { databaseUrl: running.databaseUrl, rpcUrl: rpcUrl ?? running.rpcUrl, close }
  if (!existsSync(dir.postgres)) {
    throw new OrienError('not_found', `There is no database in ${dir.root}`, {
      hint: 'Set DATABASE_URL, or name the data directory of a stack: --data-dir DIR',
    })
  }
  const postgres = await startEmbeddedPostgres({ dataDir: dir.postgres })
  return { databaseUrl: postgres.url, rpcUrl, close: postgres.stop }
}
