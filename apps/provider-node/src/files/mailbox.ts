import { OrienError, type ToNode } from '@orien/protocol'
import type { Clock } from '../clock.ts'

export type FileMessage = Extract<
  ToNode,
  {
    type:
      | 'fileList'
      | 'fileFind'
      | 'fileRead'
      | 'fileWrite'
      | 'fileChunk'
      | 'fileEnd'
      | 'fileAbort'
      | 'fileCredit'
  }
>

/** What the coordinator said about one transfer, in order. */
export type Mailbox = {
  /** Null tells that nobody is there any more. */
  deliver(message: FileMessage | null): void
  /** Ends the transfer with an error, before anything that still waits here. */
  refuse(error: OrienError): void
  pending(): number
  /** The coordinator's next word; null once it is gone. @throws OrienError `timed_out`, or what it was refused with */
  next(): Promise<FileMessage | null>
  /** @throws OrienError what it was refused with */
  check(): void
}

export function createMailbox(clock: Clock, idleMs: number): Mailbox {
  const waiting: (FileMessage | null)[] = []
  let refusal: OrienError | undefined
  let wake = () => {}
  const check = () => {
    if (refusal) throw refusal
  }
  return {
    deliver: (message) => {
      waiting.push(message)
      wake()
    },
    refuse: (error) => {
      refusal ??= error
      wake()
    },
    pending: () => waiting.length,
    check,
    next: async () => {
      check()
      if (waiting.length === 0) {
        const heard = Promise.withResolvers<boolean>()
        const cancel = clock.after(idleMs, () => heard.resolve(false))
        wake = () => heard.resolve(true)
        const isInTime = await heard.promise
        cancel()
        wake = () => {}
        check()
        if (!isInTime) throw new OrienError('timed_out', 'the transfer stood still')
      }
      return waiting.shift() ?? null
    },
  }
}
