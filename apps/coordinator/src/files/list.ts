import { type FileView, type Id, LIMITS } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import type { NodeHub } from '../provider/nodes.ts'
import type { SessionRow } from '../session/store.ts'
import { openTalk } from './talk.ts'

/** The files of a workspace, as its node lists them. @throws OrienError `provider_offline`, `node_unreachable`, … */
export async function listFiles(
  parts: { hub: NodeHub; clock: Clock },
  session: SessionRow,
): Promise<FileView[]> {
  const talk = openTalk(parts, session.providerId)
  try {
    talk.send({ type: 'fileList', sessionId: session.id as Id<'session'> })
    const items: FileView[] = []
    while (items.length < LIMITS.filesListed) {
      const said = await talk.next()
      if (said.type !== 'files') continue
      items.push(...said.items)
      if (!said.hasMore) break
    }
    return items.slice(0, LIMITS.filesListed)
  } finally {
    talk.end()
  }
}
