import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { FILE_WINDOW_CHUNKS, type Id, LIMITS, OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import type { NodeHub } from '../provider/nodes.ts'
import type { SessionRow } from '../session/store.ts'
import type { Incoming } from './headers.ts'
import { type Pieces, takePieces } from './pieces.ts'
import { openTalk, type Talk } from './talk.ts'

/** What came of a request's bytes: a file, or a part that waits for the next one. */
export type Stored = { isWhole: true; sha256: string } | { isWhole: false; receivedBytes: number }

/** A file on its way in. */
export type Upload = Incoming & { name: string; body: Readable }

/**
 * Carries a file to its node, at most a window of chunks ahead of what the node has written.
 *
 * @throws OrienError `upload_offset_mismatch`, `deposit_pending`, `digest_mismatch`, `timed_out`, `workspace_full`, …
 */
export async function uploadFile(
  parts: { hub: NodeHub; clock: Clock },
  session: SessionRow,
  upload: Upload,
): Promise<Stored> {
  const isFunded = session.channelStatus === 'open'
  if (!isFunded && upload.bytes > LIMITS.unfundedFileBytes) throw depositPending()
  const pieces = takePieces(upload.body)
  const talk = openTalk(parts, session.providerId, pieces.stop)
  try {
    const { name, bytes, fromByte, toByte, sha256 } = upload
    talk.send({
      type: 'fileWrite',
      sessionId: session.id as Id<'session'>,
      ...{ name, bytes, fromByte, toByte },
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(isFunded ? {} : { shareBytes: LIMITS.unfundedFileBytes }),
    })
    await awaitReady(talk, fromByte)
    return await carry(talk, upload, chunksOf(parts.clock, pieces))
  } catch (error) {
    talk.send({ type: 'fileAbort' })
    if (!isFunded && error instanceof OrienError && error.code === 'workspace_full') throw depositPending()
    throw error
  } finally {
    pieces.leave()
    talk.end()
  }
}

const depositPending = () =>
  new OrienError('deposit_pending', undefined, { limitBytes: LIMITS.unfundedFileBytes })

async function awaitReady(talk: Talk, fromByte: number): Promise<void> {
  const ready = await talk.next()
  if (ready.type !== 'fileReady') throw new OrienError('node_unreachable', 'The node does not follow')
  const { receivedBytes } = ready
  if (receivedBytes !== fromByte) throw new OrienError('upload_offset_mismatch', undefined, { receivedBytes })
}

async function carry(talk: Talk, upload: Upload, chunks: AsyncIterable<Buffer>): Promise<Stored> {
  let credits = FILE_WINDOW_CHUNKS
  const hash = createHash('sha256')
  let carriedBytes = 0
  for await (const chunk of chunks) {
    for (let word = talk.poll(); word || credits === 0; word = talk.poll()) {
      const said = word ?? (await talk.next())
      if (said.type === 'fileCredit') credits += said.chunks
    }
    credits -= 1
    carriedBytes += chunk.length
    if (upload.sha256 === undefined) hash.update(chunk)
    talk.send({ type: 'fileChunk', data: chunk.toString('base64') })
  }
  if (carriedBytes !== upload.toByte - upload.fromByte)
    throw new OrienError('validation_failed', 'The body is not as long as it was announced')
  talk.send({ type: 'fileEnd', sha256: upload.sha256 ?? hash.digest('hex') })
  for (;;) {
    const said = await talk.next()
    if (said.type === 'fileEnd') return { isWhole: true, sha256: said.sha256 }
    if (said.type === 'filePart') return { isWhole: false, receivedBytes: said.receivedBytes }
  }
}

/** Full chunks, whatever pieces the network made. A sender that does not fill one in time is given up. */
async function* chunksOf(clock: Clock, { next, stop }: Pieces): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = []
  let bytes = 0
  const watch = () =>
    clock.after(LIMITS.transferIdleMs, () => stop(new OrienError('timed_out', 'The upload stood still')))
  let stopWatch = watch()
  try {
    for (let piece = await next(); piece; piece = await next()) {
      waiting.push(piece)
      bytes += piece.length
      while (bytes >= LIMITS.transferStepBytes) {
        // What the node takes its time for is not the sender's.
        stopWatch()
        const all = Buffer.concat(waiting)
        yield all.subarray(0, LIMITS.transferStepBytes)
        waiting = [all.subarray(LIMITS.transferStepBytes)]
        bytes -= LIMITS.transferStepBytes
        stopWatch = watch()
      }
    }
    if (bytes > 0) yield Buffer.concat(waiting)
  } finally {
    stopWatch()
  }
}
