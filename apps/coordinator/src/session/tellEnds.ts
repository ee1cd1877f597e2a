import type { Id } from '@orien/protocol'
import type { Context } from '../context.ts'
import { selectEnded } from './store.ts'

/** A node that was away learns which of its sessions are ending, and which it may forget. */
export async function tellEnds(ctx: Context, providerId: string): Promise<void> {
  for (const { id, isOver } of await selectEnded(ctx.db.read, providerId)) {
    ctx.nodes.send(providerId, {
      type: isOver ? 'forgetSession' : 'endSession',
      sessionId: id as Id<'session'>,
    })
  }
}
