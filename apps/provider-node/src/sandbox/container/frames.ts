import { OrienError } from '@orien/protocol'
import type { OutputChunk } from '../driver.ts'

const HEADER_BYTES = 8
const STREAMS = new Map<number, OutputChunk['stream']>([
  [1, 'stdout'],
  [2, 'stderr'],
])

/**
 * Cuts an attached container's stream apart,
 * https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerAttach. Whoever is slow
 * to take a chunk holds the container back; a frame is handed on as it comes, whatever length it claims.
 *
 * @throws OrienError `sandbox_unavailable` for anything else than such a stream
 */
export async function* readEngineFrames(source: AsyncIterable<unknown>): AsyncGenerator<OutputChunk> {
  let held: Buffer = Buffer.alloc(0)
  let left = 0
  let stream: OutputChunk['stream'] = 'stdout'
  for await (const part of source) {
    held = held.length === 0 ? (part as Buffer) : Buffer.concat([held, part as Buffer])
    while (held.length > 0) {
      if (left === 0) {
        if (held.length < HEADER_BYTES) break
        const named = STREAMS.get(held.readUInt8(0))
        if (!named) throw new OrienError('sandbox_unavailable', 'the engine sent an unknown stream')
        stream = named
        left = held.readUInt32BE(4)
        held = held.subarray(HEADER_BYTES)
        continue
      }
      const bytes = held.subarray(0, left)
      held = held.subarray(bytes.length)
      left -= bytes.length
      yield { stream, bytes }
    }
  }
}
