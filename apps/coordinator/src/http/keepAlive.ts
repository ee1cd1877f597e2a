import type { ServerResponse } from 'node:http'

/** A comment this often keeps proxies and clients from giving a silent stream up. */
const KEEP_ALIVE_SECONDS = 15
/** Beats without a byte accepted by the other side, after which a stream is cut. It resumes where it was. */
const MAX_STALLED_BEATS = 4

const ALIVE = Buffer.from(': alive\n\n')

type Stream = { raw: ServerResponse; flushedBytes: number; stalledBeats: number }

// One timer for all streams. They are spread over its beats: ten thousand writes at once would hold everything up.
const beats: Set<Stream>[] = Array.from({ length: KEEP_ALIVE_SECONDS }, () => new Set())
let timer: NodeJS.Timeout | null = null
let count = 0
let next = 0

function beat(stream: Stream): void {
  const { raw } = stream
  if (raw.writableLength === 0) {
    stream.stalledBeats = 0
    raw.write(ALIVE)
    return
  }
  const flushedBytes = (raw.socket?.bytesWritten ?? 0) - raw.writableLength
  stream.stalledBeats = flushedBytes > stream.flushedBytes ? 0 : stream.stalledBeats + 1
  stream.flushedBytes = flushedBytes
  if (stream.stalledBeats >= MAX_STALLED_BEATS) raw.destroy()
}

/** Keeps a stream alive, and cuts it when its reader has stopped reading. @returns ends that */
export function keepAlive(raw: ServerResponse): () => void {
  const stream: Stream = { raw, flushedBytes: 0, stalledBeats: 0 }
  const place = beats[count % beats.length]
  place?.add(stream)
  count += 1
  timer ??= setInterval(() => {
    for (const due of beats[next % beats.length] ?? []) beat(due)
    next += 1
  }, 1_000).unref()
  return () => {
    place?.delete(stream)
    if (timer === null || beats.some((streams) => streams.size > 0)) return
    clearInterval(timer)
    timer = null
  }
}
