import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const NAME = 'api.url'

/** Writes down where the loopback interface is, for the owner's commands. @returns how to take it away again */
export async function publishAddress(dataDir: string, url: string): Promise<() => Promise<void>> {
  const path = join(dataDir, NAME)
  await writeFile(`${path}.new`, `${url}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
  return () => rm(path, { force: true })
}

/** @returns null where no node has written one; it may be of a node that died */
export async function readAddress(dataDir: string): Promise<string | null> {
  const text = await readFile(join(dataDir, NAME), 'utf8').catch(() => '')
  return text.trim() || null
}
