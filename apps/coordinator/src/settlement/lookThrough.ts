import type { Hex } from '@orien/protocol'
import { type ChannelState, readChannel } from '@orien/rails'
import type { Context } from '../context.ts'
import { atOnce } from '../jobs/atOnce.ts'
import { type RelayerChain, RPC_WIDTH } from './relayerChain.ts'
import { selectOpenChannels } from './store.ts'

const PAGE = 500

/** A channel in which somebody did something while nobody here was looking. */
export type Missed = { channelId: Hex; state: ChannelState }

const isTouched = ({ phase, settledMicros }: ChannelState) => phase !== 'open' || settledMicros > 0n

/**
 * Looks at every open channel itself, once: what happened to it while no coordinator ran may lie further back than the
 * events that a node of the chain gives.
 */
export async function lookThrough(ctx: Context, { client }: RelayerChain): Promise<Missed[]> {
  const missed: Missed[] = []
  for (let after = ''; ; ) {
    const page = await selectOpenChannels(ctx.db.read, { after, limit: PAGE })
    const readings = await atOnce(RPC_WIDTH, page, async ({ channelId }) => ({
      channelId,
      reading: await readChannel(client, ctx.chain.escrow, channelId),
    }))
    for (const { channelId, reading } of readings)
      if (reading.status === 'found' && isTouched(reading.channel))
        missed.push({ channelId, state: reading.channel })
    const last = page.at(-1)
    if (!last || page.length < PAGE) return missed
    after = last.id
  }
}
