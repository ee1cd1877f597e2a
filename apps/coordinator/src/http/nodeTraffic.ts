import { type FromNode, readRunReport } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { LogSink } from '../execution/logs.ts'
import { placeOfRun, relayMeter, type Starts } from '../execution/report.ts'
import { type ReceiptAnswer, type Recorder, recordReceipt } from '../metering/record.ts'
import { touchProvider } from '../provider/connect.ts'
import type { NodeHandlers } from '../provider/connection.ts'
import { tellEnds } from '../session/tellEnds.ts'

type Takers = { recorder: Recorder; logs: LogSink; starts: Starts; wakeClaims: () => void }
type ReceiptMessage = Extract<FromNode, { type: 'receipt' }>

/** What happens with what nodes say: each message to its verb, receipts of a session in their order. */
export function nodeTraffic(ctx: Context, takers: Takers): NodeHandlers {
  // Receipts of a session are a chain: the next one is handed to the recorder after the one before, which keeps the
  // order of what it was handed, so that both may share a commit.
  const tails = new Map<string, Promise<void>>()
  const inOrder = (sessionId: string, handOver: () => Promise<void>): void => {
    const tail = (tails.get(sessionId) ?? Promise.resolve()).then(handOver)
    tails.set(sessionId, tail)
    void tail.then(() => {
      if (tails.get(sessionId) === tail) tails.delete(sessionId)
    })
  }
  const takeReceipt = async (providerId: string, message: ReceiptMessage): Promise<void> => {
    const { executionId, jws } = message
    // Of this connection's output: on the next one all of it comes again.
    const stored = takers.logs.stored(executionId)
    ctx.trails.arrived(executionId, readRunReport(message.report))
    const place = await placeOfRun(ctx, providerId, executionId)
    inOrder(place?.sessionId ?? providerId, async () => {
      // The output first: whoever hears of the end may read all of it. If it was not stored, both come again.
      if (!(await stored)) return
      const wasStarted = takers.starts.take(executionId)
      recordReceipt(ctx, takers.recorder, jws, { wasStarted, onSessionOver: takers.wakeClaims })
        .finally(() => ctx.trails.departed(executionId))
        .then((answer) => answerNode(ctx, takers, providerId, message, answer))
        .catch((err: unknown) => ctx.log.error({ event: 'receipt.failed', executionId, err }))
    })
  }
  return {
    onConnected: async (providerId, hello) => {
      takers.logs.restart(providerId)
      ctx.log.info({ event: 'node.connected', providerId, inHand: hello.inHand.length })
      await tellEnds(ctx, providerId)
      await ctx.dispatcher.send({ providerId, except: hello.inHand })
      takers.wakeClaims()
    },
    onMessage: async (providerId, message) => {
      switch (message.type) {
        case 'heartbeat':
          return touchProvider(ctx, providerId)
        case 'started':
          return takers.starts.report(providerId, message.executionId)
        case 'log':
          return takers.logs.accept(providerId, { ...message, data: Buffer.from(message.data, 'base64') })
        case 'meter':
          return relayMeter(ctx, providerId, message)
        case 'receipt':
          return takeReceipt(providerId, message)
      }
    },
  }
}

function answerNode(
  ctx: Context,
  { logs }: Takers,
  providerId: string,
  { executionId }: ReceiptMessage,
  answer: ReceiptAnswer,
): void {
  logs.forget(executionId)
  if (answer.accepted) {
    const { countersignature } = answer
    ctx.nodes.send(providerId, { type: 'receiptAck', executionId, countersignature })
    return
  }
  const { code, detail } = answer
  ctx.log.warn({ event: 'receipt.refused', providerId, executionId, code, detail })
  ctx.nodes.send(providerId, { type: 'receiptRefused', executionId, code, detail })
}
