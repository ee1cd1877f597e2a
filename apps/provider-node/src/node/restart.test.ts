import { appendFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type FromNode, receiptFault, ZERO } from '@orien/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSession } from '../testing/agent.ts'
import { readDeepChannel } from '../testing/channel.ts'
import { killNode, startChildNode } from '../testing/childNode.ts'
import { receiptOf, startCoordinator, type TestCoordinator } from '../testing/coordinator.ts'
import { makeDataDir, nodeOptions, removeDir } from '../testing/node.ts'
import { type RunningNode, startNode } from './startNode.ts'

type Child = Awaited<ReturnType<typeof startChildNode>>
type Hello = Extract<FromNode, { type: 'hello' }>

let coordinator: TestCoordinator
let dataDir = ''
let first: { child: Child; hello: Hello }
let second: RunningNode | undefined

beforeEach(async () => {
  coordinator = await startCoordinator()
  dataDir = await makeDataDir(coordinator.url)
  const child = await startChildNode(dataDir)
  first = { child, hello: await coordinator.next('hello') }
})
afterEach(async () => {
  const { child } = first
  if (child.exitCode === null && child.signalCode === null) await killNode(child)
  await second?.stop()
  second = undefined
  await coordinator.close()
  await removeDir(dataDir)
})

/** In this process, where everything is loaded already: only the one that is killed needs a process of its own. */
async function start(): Promise<{ hello: Hello }> {
  second = await startNode({ ...nodeOptions(dataDir), readChannel: readDeepChannel })
  await second.live
  return { hello: await coordinator.next('hello') }
}

const journalText = () => readFile(join(dataDir, 'journal', 'journal.jsonl'), 'utf8')
const STAYS = { tool: 'script', args: { code: 'console.log("here"); setInterval(() => {}, 1000)' } }

describe('a node that was killed', () => {
  test('sends receipts that nobody acknowledged again, the very same bytes, in their order', async () => {
    coordinator.acknowledges = false
    const session = openSession(first.hello.offer)
    const sent: string[] = []
    for (let run = 0; run < 3; run += 1) {
      coordinator.send({ type: 'dispatch', work: session.work() })
      sent.push((await coordinator.next('receipt')).jws)
    }
    await killNode(first.child)
    const { hello } = await start()
    expect(hello.inHand).toEqual(sent.map((jws) => receiptOf(jws).executionId))
    const again = [
      await coordinator.next('receipt'),
      await coordinator.next('receipt'),
      await coordinator.next('receipt'),
    ]
    expect(again.map(({ jws }) => jws)).toEqual(sent)
    for (const jws of sent) coordinator.acknowledge(jws)
    coordinator.send({ type: 'dispatch', work: session.work() })
    expect(receiptOf((await coordinator.next('receipt')).jws).sequence).toBe(4)
  })

  test('in the middle of a run ends that run with a receipt that costs nothing, and chains on from it', async () => {
    const session = openSession(first.hello.offer)
    coordinator.send({ type: 'dispatch', work: session.work() })
    const before = receiptOf((await coordinator.next('receipt')).jws)
    const running = session.work(STAYS)
    coordinator.send({ type: 'dispatch', work: running })
    await coordinator.next('log', (message) => message.executionId === running.executionId)
    await killNode(first.child)
    const { hello } = await start()
    expect(hello.inHand).toContain(running.executionId)
    const message = await coordinator.next(
      'receipt',
      ({ executionId }) => executionId === running.executionId,
    )
    const receipt = receiptOf(message.jws)
    expect(receipt).toMatchObject({ reason: 'sandbox_error', effectiveMs: 0, costMicros: 0n, sequence: 2 })
    const head = { sequence: 1, hash: receipt.previous, cumulativeMicros: before.costMicros }
    expect(receiptFault(receipt, head)).toBeNull()
    coordinator.send({ type: 'dispatch', work: running })
    coordinator.send({ type: 'dispatch', work: session.work() })
    const next = receiptOf((await coordinator.next('receipt')).jws)
    expect(next).toMatchObject({ status: 'completed', sequence: 3 })
  })

  test('keeps its offer, so that sessions go on under it, and remembers what it has done', async () => {
    const session = openSession(first.hello.offer)
    const done = session.work()
    coordinator.send({ type: 'dispatch', work: done })
    await coordinator.next('receipt')
    await killNode(first.child)
    const { hello } = await start()
    expect(hello.offer).toBe(first.hello.offer)
    coordinator.send({ type: 'dispatch', work: done })
    coordinator.send({ type: 'dispatch', work: session.work() })
    expect(
      receiptOf(
        (await coordinator.next('receipt', ({ executionId }) => executionId !== done.executionId)).jws,
      ),
    ).toMatchObject({
      sequence: 2,
    })
  })

  test('leaves the files of sessions that go on, and nothing of those that are over', async () => {
    const [live, over] = [openSession(first.hello.offer), openSession(first.hello.offer)]
    const write = { tool: 'script', args: { code: `require('fs').writeFileSync('kept', 'of before')` } }
    for (const session of [live, over]) {
      coordinator.send({ type: 'dispatch', work: session.work(write) })
      await coordinator.next('receipt')
    }
    await killNode(first.child)
    // As when it was killed between writing this and removing the workspace.
    const ended = { t: 'ended', sessionId: over.sessionId }
    await appendFile(join(dataDir, 'journal', 'journal.jsonl'), `${JSON.stringify(ended)}\n`)
    await start()
    const left = await readdir(join(dataDir, 'workspaces'))
    expect(left.filter((name) => name.endsWith('.json')).length).toBe(1)
    expect(left.length).toBe(2)
    const read = { tool: 'script', args: { code: `console.log(require('fs').readFileSync('kept', 'utf8'))` } }
    const work = live.work(read)
    coordinator.send({ type: 'dispatch', work })
    const log = await coordinator.next('log', ({ executionId }) => executionId === work.executionId)
    expect(Buffer.from(log.data, 'base64').toString()).toBe('of before\n')
  })

  test('comes up again over a journal whose last line was cut off', async () => {
    const session = openSession(first.hello.offer)
    coordinator.send({ type: 'dispatch', work: session.work() })
    const receipt = receiptOf((await coordinator.next('receipt')).jws)
    await killNode(first.child)
    await appendFile(join(dataDir, 'journal', 'journal.jsonl'), '{"t":"receipt","executionId":"exe_0')
    await start()
    coordinator.send({ type: 'dispatch', work: session.work() })
    const next = receiptOf(
      (await coordinator.next('receipt', ({ executionId }) => executionId !== receipt.executionId)).jws,
    )
    expect(
      receiptFault(next, { sequence: 1, hash: next.previous, cumulativeMicros: receipt.costMicros }),
    ).toBeNull()
  })
})

test('no argument and no output of a run is in the journal', async () => {
  const work = openSession(first.hello.offer).work({ args: { text: 'a very secret argument' } })
  coordinator.send({ type: 'dispatch', work })
  const receipt = receiptOf((await coordinator.next('receipt')).jws)
  expect(receipt.cumulativeMicros).toBeGreaterThan(ZERO)
  expect(await journalText()).toContain(work.executionId)
  expect(await journalText()).not.toMatch(/very secret/)
})
