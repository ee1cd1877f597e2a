import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { OrienError } from '@orien/protocol'
import { writeSecretFile } from './secretFile.ts'

const NAME = 'node.lock'

/** When a process began, in the kernel's ticks: with the pid it names a process once. Empty where there is no /proc. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The second field is the program's name in parentheses and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

async function isHeld(holder: string): Promise<boolean> {
  const [pid, start] = holder.trim().split(' ')
  if (!pid || !/^\d+$/.test(pid)) return false
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false
  }
  return (await startOf(Number(pid))) === (start ?? '')
}

/**
 * Keeps a second node out of a data directory: two would sign two receipts with one number.
 *
 * @returns how to let go
 * @throws OrienError `database_in_use`
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const path = join(dataDir, NAME)
  const self = `${process.pid} ${await startOf(process.pid)}`
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const taken = await writeSecretFile(path, self).then(
      () => true,
      () => false,
    )
    if (taken) return () => rm(path, { force: true })
    if (await isHeld(await readFile(path, 'utf8').catch(() => ''))) break
    await rm(path, { force: true })
  }
  throw new OrienError('database_in_use', 'another node runs on this data directory')
}

/** The process that holds a data directory. @returns null where none does, however the last one ended */
export async function lockHolder(dataDir: string): Promise<number | null> {
  const holder = await readFile(join(dataDir, NAME), 'utf8').catch(() => '')
  return (await isHeld(holder)) ? Number(holder.trim().split(' ')[0]) : null
}
