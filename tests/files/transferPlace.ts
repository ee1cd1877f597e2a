import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invariant, micros } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type TestAgent } from '../harness/stack.ts'
import { openPlace, type SoakPlace } from '../soak/place.ts'

/** A tool that reads, writes and waits in its workspace, which holds more than the largest file twice. */
export const toolsText = (diskBytes: number) => `
tools:
  - id: sh
    description: Runs a line in the workspace
    arguments: { properties: { line: { type: string, maxLength: 2000 } }, required: [line] }
    executable: /bin/sh
    argv: [{ kind: literal, value: -c }, { kind: argument, name: line }]
    readOnlyPaths: [/usr, /bin, /lib, /lib64]
    limits: { timeMs: 20000, memoryBytes: 268435456, processes: 16, diskBytes: ${diskBytes}, outputBytes: 65536 }
`

/** Coordinator and node in processes of their own, so that each can be killed and its memory read. */
export type TransferPlace = {
  place: SoakPlace
  node: RealNode
  agent: TestAgent
  /** A session whose deposit is final. */
  openSession: () => Promise<Session>
  stop: () => Promise<void>
}

export async function openTransferPlace(diskBytes = 64 << 20): Promise<TransferPlace> {
  const dir = mkdtempSync(join(tmpdir(), 'orien-transfers-'))
  const toolsFile = join(dir, 'tools.yaml')
  writeFileSync(toolsFile, toolsText(diskBytes))
  const place = await openPlace()
  const node = await startRealNode(place.asStack(), { toolsFile })
  const agent = await createAgent(place.asStack(), 1_000_000_000n)
  return {
    place,
    node,
    agent,
    openSession: async () => {
      const session = await agent.orien.openSession({
        providerId: node.providerId,
        budgetMicros: micros(10_000_000n),
      })
      // A run is dispatched when the deposit is final.
      const first = await session.run({
        tool: 'sh',
        args: { line: 'true' },
        maxCostMicros: micros(1_000_000n),
      })
      invariant(first.status === 'completed', `the first run has ${first.reason}`)
      return session
    },
    stop: async () => {
      await node.stop()
      await place.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
