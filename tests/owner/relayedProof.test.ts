import { coordinatorName, makeJws, NODE_SOCKET_PATH, type ToNode, toNode } from '@orien/protocol'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { RATE, scriptedTool } from '../harness/scriptedNode.ts'
import { registerScripted, type ScriptedOwner } from '../harness/scriptedOwner.ts'
import { type Stack, startStack } from '../harness/stack.ts'

vi.setConfig({ hookTimeout: 60_000 })

let stack: Stack
let owner: ScriptedOwner
beforeAll(async () => {
  stack = await startStack()
  owner = await registerScripted(stack, [scriptedTool], RATE)
})
afterAll(() => stack.stop())

/** Passes a challenge on to a node that has reached us by `dialled`, and its proof back. @returns the coordinator's word */
async function relay(dialled: string): Promise<ToNode> {
  const { providerId, nodeKey, sign, offer } = owner
  const socket = new WebSocket(`${stack.url.replace('http', 'ws')}${NODE_SOCKET_PATH}`)
  const answer = await new Promise<ToNode>((resolve) => {
    socket.on('message', (data) => {
      const message = toNode.decode(JSON.parse(String(data)))
      if (message.type !== 'challenge') return resolve(message)
      const proof = {
        providerId,
        nonce: message.nonce,
        at: new Date().toISOString(),
        coordinator: coordinatorName(dialled),
      }
      const jws = makeJws('orien-node+jws', nodeKey, proof, sign)
      socket.send(JSON.stringify({ type: 'hello', proof: jws, offer, version: 'test', inHand: [] }))
    })
  })
  socket.close()
  return answer
}

test('a node’s proof that somebody else asked for under another name lets nobody in', async () => {
  const refused = {
    type: 'refused',
    code: 'signature_invalid',
    detail: expect.stringContaining('evil.example'),
  }
  expect(await relay('wss://evil.example')).toMatchObject(refused)
  // The same relay is let in where the node meant this coordinator: what refuses is the name alone.
  expect(await relay(stack.url)).toMatchObject({ type: 'welcome' })
})
