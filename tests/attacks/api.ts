import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ExecutionView, micros } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'
import { TOOL_LIMITS } from './attempt.ts'

/** A coordinator and a provider's node as they are run, with tools that do whatever an attacker wants. */
export type Arena = {
  stack: Stack
  node: RealNode
  agent: TestAgent
  openSession(agent?: TestAgent): Promise<Session>
  python(session: Session, code: string): Promise<ExecutionView>
  close(): Promise<void>
}

const LIMITS_TEXT = JSON.stringify(TOOL_LIMITS)

/** JSON is YAML: paths need no care. */
const toolsText = (programs: string, runtimeFile: string) => `tools:
  - id: attack
    description: Runs the attacks of a plan in the workspace
    arguments: { properties: {} }
    executable: ${JSON.stringify(join(programs, 'attacker'))}
    argv: [{ kind: literal, value: plan }, { kind: literal, value: ${JSON.stringify(process.execPath)} }]
    readOnlyPaths: ${JSON.stringify([programs, process.execPath, '/usr/bin/python3', runtimeFile])}
    limits: ${LIMITS_TEXT}
  - id: python
    description: Runs Python from its standard input
    arguments: { properties: { code: { type: string, maxLength: 65536 } }, required: [code] }
    executable: /usr/bin/python3
    argv: [{ kind: literal, value: "-" }]
    stdin: code
    limits: ${LIMITS_TEXT}
  - id: echo
    description: Prints its arguments as JSON
    arguments:
      properties:
        text: { type: string }
        named: { type: string }
        words: { type: array, items: { type: string }, maxItems: 100 }
    executable: node
    argv:
      - { kind: literal, value: ${JSON.stringify(join(programs, 'echo.mjs'))} }
      - { kind: option, name: named, prefix: "--named=" }
      - { kind: literal, value: "--" }
      - { kind: argument, name: text }
      - { kind: argument, name: words }
    readOnlyPaths: [${JSON.stringify(programs)}]
    limits: ${LIMITS_TEXT}
`

/** @param environment what the node is started with, beside what every node is */
export async function openArena(
  programs: string,
  environment: Readonly<Record<string, string>> = {},
  runtimeFile = '/dev/null',
): Promise<Arena> {
  const stack = await startStack()
  const dir = mkdtempSync(join(tmpdir(), 'orien-tools-'))
  const toolsFile = join(dir, 'orien.tools.yaml')
  writeFileSync(toolsFile, toolsText(programs, runtimeFile === '/dev/null' ? programs : runtimeFile))
  const node = await startRealNode(stack, { toolsFile, environment })
  const agent = await createAgent(stack, 20_000_000_000n)
  return {
    stack,
    node,
    agent,
    openSession: (by = agent) =>
      by.orien.openSession({ providerId: node.providerId, budgetMicros: micros(200_000_000n) }),
    python: (session, code) =>
      session.run({ tool: 'python', args: { code }, maxCostMicros: micros(20_000_000n) }),
    close: async () => {
      await node.stop()
      await stack.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
