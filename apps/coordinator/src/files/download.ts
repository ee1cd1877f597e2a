import { Readable } from 'node:stream'
import { type Id, invariant, LIMITS, OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import type { NodeHub } from '../provider/nodes.ts'
import type { SessionRow } from '../session/store.ts'
import type { Wanted } from './headers.ts'
import { openTalk, type Talk } from './talk.ts'

/** A file on its way out. Whoever gets it reads the content or destroys it. */
export type Download = { bytes: number; sha256: string; fromByte: number; content: Readable }

/** Chunks that wait here for the reader; what goes beyond waits on the node. */
const WAITING_CHUNKS = 4

/**
 * Fetches a file from its node; the reader's pace is passed on as credit.
 *
 * @throws OrienError `not_found`, `range_not_satisfiable`, `workspace_gone`, `provider_offline`, `node_unreachable`, …
 */
export async function downloadFile(
  parts: { hub: NodeHub; clock: Clock },
  session: SessionRow,
  { name, fromByte, ifSha256 }: Wanted & { name: string },
): Promise<Download> {
  const talk = openTalk(parts, session.providerId)
  try {
    talk.send({
      type: 'fileRead',
      sessionId: session.id as Id<'session'>,
      ...{ name, fromByte },
      ...(ifSha256 === undefined ? {} : { ifSha256 }),
    })
    const opened = await talk.next()
    if (opened.type !== 'fileOpened') throw new OrienError('node_unreachable', 'The node does not follow')
    const { bytes, sha256 } = opened
    const content = contentOf(parts.clock, talk, bytes - opened.fromByte)
    return { bytes, sha256, fromByte: opened.fromByte, content }
  } catch (error) {
    talk.send({ type: 'fileAbort' })
    talk.end()
    throw error
  }
}

function contentOf(clock: Clock, talk: Talk, bytes: number): Readable {
  let stopWatch = () => {}
  let isEnded = false
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let leftBytes = bytes; ; ) {
      const said = await talk.next()
      if (said.type === 'fileChunk') {
        const chunk = Buffer.from(said.data, 'base64')
        leftBytes -= chunk.length
        stopWatch = watch()
        yield chunk
        stopWatch()
        // Credit is given when the chunk has been taken, so a slow reader holds its node back.
        talk.send({ type: 'fileCredit', chunks: 1 })
      } else if (said.type === 'fileEnd') {
        isEnded = true
        if (leftBytes === 0) return
        throw new OrienError('digest_mismatch', 'The file changed while it was read')
      }
    }
  }
  const content = Readable.from(chunks(), {
    objectMode: false,
    highWaterMark: WAITING_CHUNKS * LIMITS.transferStepBytes,
  })
  const watch = () =>
    clock.after(LIMITS.transferIdleMs, () =>
      content.destroy(new OrienError('timed_out', 'The download stood still')),
    )
  // Not in the generator: the one of a reader that never read is never begun.
  content.once('close', () => {
    stopWatch()
    if (!isEnded) talk.send({ type: 'fileAbort' })
    talk.cancel(new OrienError('timed_out', 'The download was cut off'))
    talk.end()
  })
  invariant(bytes >= 0, 'a file does not begin behind its end')
  return content
}
