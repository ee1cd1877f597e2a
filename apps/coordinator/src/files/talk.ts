import { FILE_WINDOW_CHUNKS, type FromNode, LIMITS, OrienError, type ToNode } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import { failureOf, type NodeHub } from '../provider/nodes.ts'

type Numbered = Extract<ToNode, { requestId: number }>
/** A message of a conversation, without its number. */
type Word = Numbered extends infer W ? (W extends Numbered ? Omit<W, 'requestId'> : never) : never

/** A conversation with a node about one file. Whoever opens it ends it. */
export type Talk = {
  send: (word: Word) => void
  /** What the node says next. @throws OrienError its refusal, `provider_offline`, `node_unreachable` */
  next: () => Promise<FromNode>
  /** What has come and was not taken yet, without waiting. @throws OrienError as `next` */
  poll: () => FromNode | undefined
  /** Makes `next` fail. */
  cancel: (error: OrienError) => void
  end: () => void
}

/** @param onFailure called as soon as the node refuses or is gone, while nobody may be waiting for its next word */
export function openTalk(
  { hub, clock }: { hub: NodeHub; clock: Clock },
  providerId: string,
  onFailure: (error: OrienError) => void = () => {},
): Talk {
  const heard: FromNode[] = []
  let failure: OrienError | undefined
  let wake = () => {}
  const cancel = (error: OrienError) => {
    failure ??= error
    wake()
  }
  const exchange = hub.openExchange(providerId, (message) => {
    if (message.type === 'failure') {
      cancel(failureOf(message))
      onFailure(failureOf(message))
      return
    }
    heard.push(message)
    // Credits bound what an honest node sends ahead.
    if (heard.length > 2 * FILE_WINDOW_CHUNKS)
      cancel(new OrienError('node_unreachable', 'The node sent more than it was asked for'))
    wake()
  })
  const poll = () => {
    // What came before the failure does not matter any more.
    if (failure) throw failure
    return heard.shift()
  }
  return {
    send: (word) => exchange.send({ ...word, requestId: exchange.requestId }),
    poll,
    next: async () => {
      for (let first = poll(); ; first = poll()) {
        if (first) return first
        const woken = Promise.withResolvers<void>()
        const stopWatch = clock.after(LIMITS.transferIdleMs, () =>
          cancel(new OrienError('node_unreachable', 'The node stands still')),
        )
        wake = woken.resolve
        await woken.promise
        stopWatch()
        wake = () => {}
      }
    },
    cancel,
    end: exchange.end,
  }
}
