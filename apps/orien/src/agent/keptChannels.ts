import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { keptChannel, OrienError } from '@orien/protocol'
import type { ChannelRecord, KeptChannel } from '@orien/sdk'

/** Channels that are kept for one wallet; beyond it the oldest go. */
const MAX_KEPT = 1_000
const NAME = /^ses_[0-9a-hjkmnp-tv-z]+\.json$/

/** The folder beside a wallet's key file in which its channels are kept, one file each. */
export function keptChannelsOf(keyFile: string): string {
  return `${keyFile}.channels`
}

/**
 * Keeps channels in files of mode 0600. One file a session, so that any number of commands may run at once.
 *
 * @param dir made with mode 0700 when it is not there
 */
export function channelRecord(dir: string): ChannelRecord {
  return {
    keep: async ({ sessionId, channel }) => {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      const path = join(dir, `${sessionId}.json`)
      if (await exists(path)) return
      const draftPath = `${path}.${process.pid}`
      const draft = await open(draftPath, 'w', 0o600)
      try {
        await draft.writeFile(printKept({ sessionId, channel }))
        await draft.sync()
      } finally {
        await draft.close()
      }
      await rename(draftPath, path)
      await dropOldest(dir)
    },
  }
}

/** All that is kept, oldest first: ids sort by their time. */
export async function readKeptChannels(dir: string): Promise<KeptChannel[]> {
  const names = await namesIn(dir)
  return Promise.all(names.map((name) => readKeptChannel(join(dir, name))))
}

/** @throws OrienError `unreadable` */
export async function readKeptChannel(path: string): Promise<KeptChannel> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new OrienError('unreadable', `The file ${path} cannot be read`, {}, { cause })
  })
  const kept = parseKept(text)
  if (kept === null) throw new OrienError('unreadable', `The file ${path} holds no channel`)
  return kept
}

/** @returns null for a text that is none */
export function parseKept(text: string): KeptChannel | null {
  try {
    const parsed = keptChannel.safeParse(JSON.parse(text))
    if (!parsed.success) return null
    const { sessionId, channel } = parsed.data
    return { sessionId, channel }
  } catch {
    return null
  }
}

const printKept = (kept: KeptChannel) =>
  `${JSON.stringify({ v: 1, kind: 'orien-channel', ...kept }, null, 2)}\n`

async function namesIn(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => [])
  return names.filter((name) => NAME.test(name)).sort()
}

async function dropOldest(dir: string): Promise<void> {
  const names = await namesIn(dir)
  for (const name of names.slice(0, Math.max(0, names.length - MAX_KEPT))) {
    await rm(join(dir, name), { force: true })
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
