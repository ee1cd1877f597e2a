import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { OrienError } from '@orien/protocol'
import { countKeptWorkspaces, lockHolder, removeKeptWorkspaces } from '@orien/provider-node'
import type { Handler } from '../../commands/bind.ts'
import { keptText } from '../keptText.ts'
import { untilEnded } from './untilEnded.ts'

/** Longer than a node waits for its tools and for whoever takes its receipts. */
const END_MS = 60_000

/** `orien provider stop`: what Ctrl-C does, from another terminal. */
export const stopProvider: Handler<{ dataDir: string; forGood?: boolean }> = async (
  { terminal },
  options,
) => {
  const { dataDir, forGood = false } = options
  if (!existsSync(dataDir)) throw new OrienError('setup_failed', 'there is no such data directory')
  const pid = await lockHolder(dataDir)
  if (pid !== null) {
    await refuseService(pid)
    process.kill(pid, 'SIGTERM')
    terminal.status('waits for running tools and for receipts to be taken')
    await untilEnded(dataDir, pid, END_MS).finally(() => terminal.status(null))
  }
  if (forGood) await removeKeptWorkspaces(dataDir)
  const kept = await countKeptWorkspaces(dataDir)
  const wasRunning = pid !== null
  if (terminal.isJson) terminal.printJson({ wasRunning, keptSessions: kept })
  else
    terminal.print(
      `${wasRunning ? 'stopped' : 'no node runs here'}${kept === 0 ? '' : `; ${keptText(kept)}`}`,
    )
  return 0
}

/** A service manager would start it again at once. */
async function refuseService(pid: number): Promise<void> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  if (!groups.includes('orien-provider.service')) return
  throw new OrienError('setup_failed', 'the node runs as a service, which would start it again', {
    hint: 'sudo systemctl stop orien-provider',
  })
}
