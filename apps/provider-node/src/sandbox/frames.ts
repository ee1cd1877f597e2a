import { invariant } from '@orien/protocol'

const HEADER_BYTES = 8
/** The longest payload of one frame. */
export const MAX_FRAME_BYTES = 65_536
const NOTHING: Buffer = Buffer.alloc(0)

/** What came over a socket, kind and payload, uncut. */
export type RawFrame = { kind: number; payload: Buffer }

export function frame(kind: number, fields: readonly bigint[], tail?: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + fields.length * 8 + (tail?.length ?? 0))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, kind, true)
  view.setUint32(4, bytes.length - HEADER_BYTES, true)
  fields.forEach((value, index) => {
    view.setBigUint64(HEADER_BYTES + index * 8, value, true)
  })
  if (tail) bytes.set(tail, HEADER_BYTES + fields.length * 8)
  return bytes
}

/**
 * Cuts what comes in pieces into frames; holds at most one incomplete frame.
 *
 * @returns what takes the next piece. Payloads lie in that piece and are good until it is written over.
 */
export function frameCutter(): (piece: Buffer) => RawFrame[] {
  let held = NOTHING
  return (piece) => {
    let rest = held.length === 0 ? piece : Buffer.concat([held, piece])
    const frames: RawFrame[] = []
    while (rest.length >= HEADER_BYTES) {
      const bytes = rest.readUInt32LE(4)
      invariant(bytes <= MAX_FRAME_BYTES, 'a frame is bounded')
      if (rest.length < HEADER_BYTES + bytes) break
      frames.push({
        kind: rest.readUInt32LE(0),
        payload: rest.subarray(HEADER_BYTES, HEADER_BYTES + bytes),
      })
      rest = rest.subarray(HEADER_BYTES + bytes)
    }
    held = rest.length === 0 ? NOTHING : Buffer.from(rest)
    return frames
  }
}

/** Frames of a stream that nobody hurries to read. */
export async function* cutFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<RawFrame> {
  const cut = frameCutter()
  for await (const { buffer, byteOffset, length } of source)
    yield* cut(Buffer.from(buffer, byteOffset, length))
}
