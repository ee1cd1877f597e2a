import { type FromNode, readRunReport } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { LogSink } from '../execution/logs.ts'
import { recordStarted, relayMeter, sessionOfRun } from '../execution/report.ts'
import { type Recorder, recordReceipt } from '../metering/record.ts'
import { touchProvider } from '../provider/connect.ts'
import type { NodeHandlers } from '../provider/connection.ts'
import { tellEnds } from '../session/tellEnds.ts'

type Takers = { recorder: Recorder; logs: LogSink; wakeClaims: () => void }

/** What happens with what nodes say: each message to its verb, receipts of a session in their order. */
export function nodeTraffic(ctx: Context, takers: Takers): NodeHandlers {
  // Receipts of a session are a chain: the next one is looked at when the one before is recorded.
  const tails = new Map<string, Promise<void>>()
  const inOrder = (sessionId: string, work: () => Promise<void>): void => {
    const tail = (tails.get(sessionId) ?? Promise.resolve())
      .then(work)
      .catch((err: unknown) => ctx.log.error({ event: 'receipt.failed', sessionId, err }))
    tails.set(sessionId, tail)
    void tail.then(() => {
      if (tails.get(sessionId) === tail) tails.delete(sessionId)
    })
  }
  return {
    onConnected: async (providerId, hello) => {
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
          return recordStarted(ctx, providerId, message.executionId)
        case 'log':
          return takers.logs.accept(providerId, { ...message, data: Buffer.from(message.data, 'base64') })
        case 'meter':
          return relayMeter(ctx, providerId, message)
        case 'receipt': {
          const sessionId = await sessionOfRun(ctx, providerId, message.executionId)
          inOrder(sessionId ?? providerId, () => takeReceipt(ctx, takers, providerId, message))
        }
      }
    },
  }
}

async function takeReceipt(
  ctx: Context,
  { recorder, logs, wakeClaims }: Takers,
  providerId: string,
  message: Extract<FromNode, { type: 'receipt' }>,
): Promise<void> {
  const { executionId, jws } = message
  ctx.trails.arrived(executionId, readRunReport(message.report))
  // The output first: whoever hears of the end may read all of it.
  await logs.stored(executionId)
  const answer = await recordReceipt(ctx, recorder, jws).finally(() => ctx.trails.departed(executionId))
  logs.forget(executionId)
  if (answer.accepted) {
    ctx.nodes.send(providerId, { type: 'receiptAck', executionId, countersignature: answer.countersignature })
  } else {
    ctx.log.warn({
      event: 'receipt.refused',
      providerId,
      executionId,
      code: answer.code,
      detail: answer.detail,
    })
    ctx.nodes.send(providerId, {
      type: 'receiptRefused',
      executionId,
      code: answer.code,
      detail: answer.detail,
    })
  }
  wakeClaims()
}
