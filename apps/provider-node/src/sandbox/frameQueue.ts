import { connect, type Socket } from 'node:net'
import { decodeFrame, type Frame } from './channel.ts'
import { frameCutter, MAX_FRAME_BYTES } from './frames.ts'

/** The helper's messages, one after the other. */
export type Frames = {
  /** @returns the next message, or nothing once there will be none. Rejects when the connection or the helper broke. */
  next(): Promise<Frame | undefined>
}

type Source = {
  /** More is wanted after `take` said that it was enough. */
  goOn(): void
  /** What came was no message: nothing more is wanted. */
  giveUp(): void
}

const bytesOf = (frame: Frame): number => (frame.kind === 'output' ? frame.bytes.length : 0)

/** Messages that have come and have not been asked for; little more than one of the longest is held. */
export class FrameQueue implements Frames {
  readonly #cut = frameCutter()
  readonly #frames: Frame[] = []
  readonly #source: Source
  #waiting: PromiseWithResolvers<Frame | undefined> | undefined
  #heldBytes = 0
  #isFull = false
  #end: { error?: unknown } | undefined

  constructor(source: Source) {
    this.#source = source
  }

  /** Takes what was read, whose memory is the caller's again afterwards. @returns whether more may come at once */
  take(piece: Buffer): boolean {
    try {
      for (const raw of this.#cut(piece)) {
        const frame = decodeFrame(raw)
        this.#heldBytes += bytesOf(frame)
        this.#frames.push(frame)
      }
    } catch (error) {
      this.end(error)
      this.#source.giveUp()
      return false
    }
    this.#serve()
    this.#isFull = this.#heldBytes >= MAX_FRAME_BYTES
    return !this.#isFull
  }

  /** Nothing will come any more; what has come is still told. */
  end(error?: unknown): void {
    this.#end ??= error === undefined ? {} : { error }
    this.#serve()
  }

  next(): Promise<Frame | undefined> {
    const waiting = Promise.withResolvers<Frame | undefined>()
    this.#waiting = waiting
    this.#serve()
    return waiting.promise
  }

  #serve(): void {
    const waiting = this.#waiting
    const frame = this.#frames[0]
    if (!waiting || !(frame || this.#end)) return
    this.#waiting = undefined
    if (!frame) {
      if (this.#end?.error === undefined) waiting.resolve(undefined)
      else waiting.reject(this.#end.error)
      return
    }
    this.#frames.shift()
    this.#heldBytes -= bytesOf(frame)
    waiting.resolve(frame)
    if (!this.#isFull || this.#heldBytes >= MAX_FRAME_BYTES) return
    this.#isFull = false
    this.#source.goOn()
  }
}

/** Every piece is read into the same memory and done with before the next one. */
const readBytes = Buffer.alloc(MAX_FRAME_BYTES)

/** Connects without a stream's buffers and turns: those took a third of the node's time for a short run. */
export function connectFrames(path: string): { channel: Socket; frames: Frames } {
  const frames = new FrameQueue({ goOn: () => channel.resume(), giveUp: () => channel.destroy() })
  const channel = connect({
    path,
    onread: { buffer: readBytes, callback: (length) => frames.take(readBytes.subarray(0, length)) },
  })
  channel.on('error', (error) => frames.end(error))
  channel.on('close', () => frames.end())
  return { channel, frames }
}

/** The same of a connection that was taken, where pieces come with the turns of a stream. */
export function framesOf(channel: Socket): Frames {
  const frames = new FrameQueue({ goOn: () => channel.resume(), giveUp: () => channel.destroy() })
  channel.on('data', (piece: Buffer) => {
    if (!frames.take(piece)) channel.pause()
  })
  channel.on('error', (error) => frames.end(error))
  channel.on('close', () => frames.end())
  return frames
}
