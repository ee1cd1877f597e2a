import type { Dispatch, FromNode, Receipt } from '@orien/protocol'
import { type NodeOptions, type RunningNode, startNode } from '../node/startNode.ts'
import { chainOf, openSession, type TestSession } from './agent.ts'
import { receiptOf, startCoordinator, type TestCoordinator } from './coordinator.ts'
import { makeDataDir, nodeOptions, removeDir } from './node.ts'

/** A coordinator, a node that is connected to it, and a chain that holds the channels of the test's sessions. */
export type World = {
  coordinator: TestCoordinator
  dataDir: string
  node: RunningNode
  /** A session on the node's offer, with its channel on the chain. */
  newSession(): TestSession
  /** Waits for the node to connect anew: sessions from now on are on the offer that it brings. */
  nextOffer(): Promise<string>
  dispatch(work: Dispatch): void
  /** The receipt of a run, as soon as it comes. */
  receipt(executionId: string): Promise<Receipt>
  run(work: Dispatch): Promise<Receipt>
  /** What the coordinator has seen of a run's output. */
  output(executionId: string): string
  /** Stops the node and starts it again on the same data directory. */
  restart(): Promise<void>
  close(): Promise<void>
}

export async function startWorld(given: Partial<NodeOptions> = {}): Promise<World> {
  const coordinator = await startCoordinator()
  const dataDir = await makeDataDir(coordinator.url)
  const sessions: TestSession[] = []
  let offer = ''
  const start = async () => {
    const node = await startNode({ ...nodeOptions(dataDir), readChannel: chainOf(sessions), ...given })
    await node.live
    offer = (await coordinator.next('hello')).offer
    return node
  }
  const world: World = {
    coordinator,
    dataDir,
    node: await start(),
    newSession: () => {
      const session = openSession(offer)
      sessions.push(session)
      return session
    },
    nextOffer: async () => {
      offer = (await coordinator.next('hello')).offer
      return offer
    },
    dispatch: (work) => coordinator.send({ type: 'dispatch', work }),
    receipt: async (executionId) =>
      receiptOf((await coordinator.next('receipt', (message) => message.executionId === executionId)).jws),
    run: (work) => {
      world.dispatch(work)
      return world.receipt(work.executionId)
    },
    output: (executionId) => outputOf(coordinator.received, executionId),
    restart: async () => {
      await world.node.stop()
      world.node = await start()
    },
    close: async () => {
      await world.node.stop()
      await coordinator.close()
      await removeDir(dataDir)
    },
  }
  return world
}

/** Pieces may come twice after a new connection; their offsets say which belong where. */
function outputOf(received: readonly FromNode[], executionId: string): string {
  const pieces = new Map<number, Buffer>()
  for (const message of received)
    if (message.type === 'log' && message.executionId === executionId)
      pieces.set(message.offset, Buffer.from(message.data, 'base64'))
  return Buffer.concat([...pieces].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)).toString()
}
