import type { Tap } from '../tap.ts'
import { openHooks } from './hooks.ts'
import { openHttpLink } from './httpLink.ts'
import { nameOfCall, nameOfQuestion } from './names.ts'
import { openNodeLink } from './nodeLink.ts'
import { openPostgresLink } from './postgresLink.ts'

export type Ports = { postgres: number; chain: number; coordinator: number }
export type Links = Awaited<ReturnType<typeof openLinks>>

/** What an overloaded node of a chain answers. */
const REFUSAL = JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32603, message: 'overloaded' } })

/** One between any two processes that talk, and one for hooks. */
export async function openLinks(tap: Tap, { postgres, chain, coordinator }: Ports) {
  let isRpcDown = false
  const isDown = () => isRpcDown
  const question = (who: 'coordinator' | 'watcher') =>
    openHttpLink({ tap, upstreamPort: chain, nameOf: nameOfQuestion(who), refusal: REFUSAL, isDown })
  const rpc = {
    setDown: (isSo: boolean) => {
      isRpcDown = isSo
    },
    close: async () => {},
  }
  return {
    rpc,
    postgres: await openPostgresLink(tap, postgres),
    agent: await openHttpLink({ tap, upstreamPort: coordinator, nameOf: nameOfCall }),
    node: await openNodeLink(tap, coordinator),
    coordinatorRpc: await question('coordinator'),
    nodeRpc: await question('watcher'),
    hooks: await openHooks(tap),
  }
}
