import { type FromNode, fromNode, type ToNode, toNode } from '@orien/protocol'
import type { Connection } from '../../apps/provider-node/src/link/connection.ts'

/** What is on its way between node and coordinator, in order per direction, until it arrives or the line is cut. */
export type Line = {
  connection: Connection
  toCoordinator: FromNode[]
  toNode: ToNode[]
  /** As the coordinator sends; what is on its way to a line that is cut is lost. */
  sendToNode: (message: ToNode) => void
  cut: () => void
}

export function openLine(): Line {
  const gone = new AbortController()
  const isOpen = () => !gone.signal.aborted
  let turn: Promise<unknown> = Promise.resolve()
  const line: Line = {
    toCoordinator: [],
    toNode: [],
    sendToNode: (message) => {
      // Through the wire's own form, as both sides do it.
      if (isOpen()) line.toNode.push(toNode.decode(toNode.encode(message)))
    },
    cut: () => {
      gone.abort()
      line.toCoordinator.length = 0
      line.toNode.length = 0
    },
    connection: {
      signal: gone.signal,
      hasRoom: () => true,
      send: (message) => {
        if (isOpen()) line.toCoordinator.push(fromNode.decode(fromNode.encode(message)))
        return isOpen()
      },
      inTurn: (task) => {
        const mine = turn.then(async () => {
          if (!isOpen()) return false
          await task()
          return true
        })
        turn = mine.catch(() => {})
        return mine
      },
      ping: async () => isOpen(),
      close: () => gone.abort(),
    },
  }
  return line
}
