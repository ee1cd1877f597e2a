import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isolationClass as classSchema, type IsolationClass } from '@orien/protocol'
import { z } from 'zod'
import { randomName } from './names.ts'

/** The strongest class that this node has reached on this machine. */
const recordFile = z.strictObject({ v: z.literal(1), isolationClass: classSchema })

/** Weakest first. */
const CLASSES: readonly IsolationClass[] = ['none', 'namespaces', 'namespaces+cgroups']

/** The node isolates less than it once did. Told until the owner removes the record. */
export type Downgrade = { code: 'isolation_downgraded'; from: IsolationClass; to: IsolationClass }

const isWeaker = (one: IsolationClass, other: IsolationClass): boolean =>
  CLASSES.indexOf(one) < CLASSES.indexOf(other)

/** Where the record lies; an owner who accepts the weaker class removes it. */
export const isolationRecordPath = (dataDir: string): string => join(dataDir, 'sandbox', 'isolation.json')

async function readRecord(path: string): Promise<IsolationClass> {
  try {
    return recordFile.parse(JSON.parse(await readFile(path, 'utf8'))).isolationClass
  } catch {
    return 'none'
  }
}

/**
 * Compares what was reached now with the best that was ever reached here, and remembers the better.
 *
 * A weaker class is no reason to stop: offer and receipts name it, and an agent may ask for more. But nobody may find
 * out by chance that an update of the system took the cgroups away.
 */
export async function compareIsolation(dataDir: string, now: IsolationClass): Promise<Downgrade | undefined> {
  const path = isolationRecordPath(dataDir)
  const best = await readRecord(path)
  if (isWeaker(now, best)) return { code: 'isolation_downgraded', from: best, to: now }
  if (now === best) return undefined
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  const unfinished = `${path}.${randomName()}`
  await writeFile(unfinished, `${JSON.stringify({ v: 1, isolationClass: now })}\n`, { mode: 0o600 })
  await rename(unfinished, path)
  return undefined
}
