import type { Readable } from 'node:stream'
import { OrienError } from '@orien/protocol'

/** Pieces of a body, taken one by one. Unlike the stream's own iterator, giving up early leaves the body as it is. */
export type Pieces = {
  /** @returns null at the end. @throws OrienError what it was stopped with, or `timed_out` when the sender is gone */
  next: () => Promise<Buffer | null>
  /** Makes `next` fail, even one that waits. */
  stop: (error: OrienError) => void
  /** Nobody wants more: what still comes may be read away by whoever owns the body. */
  leave: () => void
}

export function takePieces(body: Readable): Pieces {
  const taken: Buffer[] = []
  let failure: OrienError | undefined
  let isEnded = false
  let wake = () => {}
  const onData = (piece: Buffer) => {
    taken.push(piece)
    body.pause()
    wake()
  }
  const onEnd = () => {
    isEnded = true
    wake()
  }
  const stop = (error: OrienError) => {
    failure ??= error
    wake()
  }
  const onClose = () => {
    if (!isEnded) stop(new OrienError('timed_out', 'The upload was cut off'))
  }
  body.pause()
  body.on('data', onData).on('end', onEnd).on('error', onClose).on('close', onClose)
  body.pause()
  return {
    stop,
    next: async () => {
      for (;;) {
        if (failure) throw failure
        const piece = taken.shift()
        if (piece) return piece
        if (isEnded) return null
        const woken = Promise.withResolvers<void>()
        wake = woken.resolve
        body.resume()
        await woken.promise
      }
    },
    // The listener for errors stays: a body that fails without one would end the process.
    leave: () => void body.off('data', onData).off('end', onEnd),
  }
}
