import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorld, type World } from '../testing/world.ts'
import { reportOf } from './timeline.ts'

const SECRET = 'canary-5f1c0e'
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
type Line = Record<string, unknown>

const lines: Line[] = []
const keep = (level: string) => (line: object) =>
  void lines.push({ level, ...line, ...('err' in line ? { err: String(line.err) } : {}) })
const log = { info: keep('info'), warn: keep('warn'), error: keep('error') }
let world: World
beforeAll(async () => {
  world = await startWorld({ log })
})
afterAll(() => world.close())

const eventsOf = (event: string) => lines.filter((line) => line.event === event)
const ask = (path: string, token = world.node.apiToken) =>
  fetch(`${world.node.apiUrl}${path}`, { headers: { authorization: `Bearer ${token}` } })

test('each run is one line with its phases, its money and its isolation, and the coordinator is told the phases', async () => {
  const work = world.newSession().work({ tool: 'echo' })
  world.coordinator.acknowledges = false
  world.coordinator.send({ type: 'dispatch', work, traceparent: PARENT })
  const told = await world.coordinator.next('receipt', ({ executionId }) => executionId === work.executionId)
  const phases = {
    queueMs: expect.any(Number),
    setUpMs: expect.any(Number),
    runMs: expect.any(Number),
    receiptMs: expect.any(Number),
  }
  expect(told.report).toEqual({ v: 1, ...phases, traceparent: PARENT })
  const mine = eventsOf('execution').filter((line) => line.executionId === work.executionId)
  expect(mine).toHaveLength(1)
  expect(mine[0]).toMatchObject({
    tool: 'echo',
    status: 'completed',
    isolation: world.node.health().isolation,
    holdMicros: work.holdMicros.toString(),
    ...phases,
    traceId: PARENT.slice(3, 35),
  })
  // As long as nobody has acknowledged it, it is told as often as it is asked for.
  world.coordinator.send({ type: 'dispatch', work })
  await world.coordinator.next('receipt', ({ executionId }) => executionId === work.executionId)
  expect(eventsOf('execution').filter((line) => line.executionId === work.executionId)).toHaveLength(1)
  world.coordinator.acknowledges = true
})

test('a run that is refused is one line with the code of its refusal', async () => {
  const work = world.newSession().work({ manifestHash: 'ab'.repeat(32) })
  expect(await world.run(work)).toMatchObject({ reason: 'rejected' })
  expect(eventsOf('execution').find((line) => line.executionId === work.executionId)).toMatchObject({
    status: 'failed',
    code: 'tool_not_offered',
    costMicros: '0',
  })
})

test('arguments, output and tokens are in no line and on no page', async () => {
  const session = world.newSession()
  await world.run(session.work({ args: { text: SECRET } }))
  await world.run(session.work({ args: { [SECRET]: SECRET } }))
  await ask(`/executions/${SECRET}?token=${SECRET}`, SECRET)
  const page = await (await ask('/metrics')).text()
  const seen = JSON.stringify(lines) + page
  expect(seen).not.toContain(SECRET)
  expect(seen).not.toContain(world.node.apiToken)
  expect(page).toMatch(/orien_node_execution_phase_seconds_count\{phase="run"\} [1-9]/)
  expect(page).toMatch(/orien_node_sandboxes_discarded_total\{reason="run"\} [1-9]/)
  expect(page).toMatch(/orien_node_refusals_total\{code="tool_not_offered"\} 1/)
})

test('every request of the loopback interface is one line that names its route, also one that is refused', async () => {
  const before = eventsOf('request').length
  expect((await ask('/nowhere')).status).toBe(404)
  expect((await ask('/health', 'wrong')).status).toBe(401)
  await expect
    .poll(() => eventsOf('request').slice(before))
    .toMatchObject([
      { route: 'none', status: 404, code: 'not_found' },
      { route: '/health', status: 401, code: 'unauthorized' },
    ])
})

test('the page is for whoever has the token', async () => {
  const refused = await ask('/metrics', 'wrong')
  expect(refused.status).toBe(401)
  expect(await refused.text()).not.toContain('orien_node')
})

test('a run that never came to its tool has no time of set-up, run or receipt to tell', () => {
  expect(reportOf({ receivedMs: 5 }, 9.4, undefined)).toEqual({ v: 1, queueMs: 4 })
  expect(reportOf({ receivedMs: 5, beganMs: 6 }, 9, undefined)).toEqual({ v: 1, queueMs: 1, receiptMs: 3 })
  expect(reportOf({ receivedMs: 0, beganMs: 1, startedMs: 3, runMs: 10.2 }, 15, PARENT)).toEqual({
    v: 1,
    queueMs: 1,
    setUpMs: 2,
    runMs: 10,
    receiptMs: 2,
    traceparent: PARENT,
  })
})
