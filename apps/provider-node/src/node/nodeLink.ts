import { coordinatorName, makeJws } from '@orien/protocol'
import { instantOf } from '../clock.ts'
import type { FileDesk } from '../files/fileDesk.ts'
import { createTransfers, type Transfers } from '../files/transfers.ts'
import type { SignedOffer } from '../identity/offer.ts'
import { NODE_LIMITS } from '../limits.ts'
import type { Connection } from '../link/connection.ts'
import type { Delivery } from '../link/delivery.ts'
import type { LinkContext } from '../link/link.ts'
import { registerNode } from '../link/register.ts'
import { takeMessage } from '../link/takeMessage.ts'
import { admissionOf } from '../rules/ruleBook.ts'
import type { WatchedWorkspaces } from '../run/idleWorkspaces.ts'
import type { Runs } from '../run/runs.ts'
import type { ProvideContext } from './provideContext.ts'
import { VERSION } from './version.ts'

/** Who does what the coordinator asks for. */
export type Working = { delivery: Delivery; runs: Runs; workspaces: WatchedWorkspaces; desk: FileDesk }

/** What the link says and hears. */
export function linkOf(
  context: ProvideContext,
  { delivery, runs, workspaces, desk }: Working,
  offer: () => SignedOffer,
  onForgotten: () => void,
): LinkContext {
  const { provider, keys, signer, journal, stage, rules, clock } = context
  const { providerId } = provider.registration
  const transfersOf = new WeakMap<Connection, Transfers>()
  const isServed = (sessionId: string) => !journal.state.sessions.get(sessionId)?.forgotten
  const isOpen = (sessionId: string) => runs.isOpen(sessionId)
  const claimant = () => ({ journal, operator: signer, offer: offer(), isOpen })
  return {
    ...context,
    register: async (signal) => {
      await context.proveEscrow()
      await registerNode(context.coordinatorUrl, provider, stage.tools, signal)
    },
    hello: (nonce) => {
      const coordinator = coordinatorName(context.coordinatorUrl)
      const proof = { providerId, nonce, at: instantOf(clock.nowMs()), coordinator }
      return {
        type: 'hello',
        proof: makeJws('orien-node+jws', keys.node.publicKey, proof, keys.node.sign),
        offer: offer().jws,
        version: VERSION,
        inHand: delivery.inHand().slice(0, NODE_LIMITS.openRuns),
        admission: admissionOf(rules.current()),
      }
    },
    heartbeat: (skew) => ({
      type: 'heartbeat',
      at: instantOf(clock.nowMs()),
      ...runs.counts(),
      slots: stage.scheduler.slots().slots,
      mode: rules.current().mode,
      ...(skew ? { clockSkewMs: skew.skewMs } : {}),
    }),
    onLive: (connection) => {
      transfersOf.set(connection, createTransfers({ ...context, workspaces, desk, connection, isServed }))
      delivery.attach(connection)
    },
    onMessage: (message, connection) => {
      const transfers = transfersOf.get(connection)
      if (!transfers) return
      const takers = {
        ...context,
        runs,
        delivery,
        workspaces,
        desk,
        spools: stage.spools,
        claimant: claimant(),
        onForgotten,
      }
      takeMessage(takers, message, { connection, transfers })
    },
  }
}
