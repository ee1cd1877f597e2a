import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startNode } from '../node/startNode.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startCoordinator, type TestCoordinator } from '../testing/coordinator.ts'
import { makeDataDir, nodeOptions, removeDir } from '../testing/node.ts'

let coordinator: TestCoordinator
let dataDir = ''
const stops: (() => Promise<void>)[] = []
beforeEach(async () => {
  coordinator = await startCoordinator()
  dataDir = await makeDataDir(coordinator.url)
})
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
  await coordinator.close()
  await removeDir(dataDir)
})

// The link is what is tested; development's driver spares each test the proof of a sandbox.
async function start() {
  const driver = createProcessDriver()
  const node = await startNode({ ...nodeOptions(dataDir), driver, allowUnisolated: true })
  stops.push(node.stop)
  return node
}

describe('the link to the coordinator', () => {
  test('registers first, then proves itself over the coordinator’s nonce', async () => {
    const node = await start()
    await node.live
    expect(coordinator.registrations).toBe(1)
    expect(node.health()).toMatchObject({ link: { state: 'live' }, isolation: 'none' })
  })

  test('is made again whenever it is lost, without a second registration', async () => {
    const node = await start()
    await node.live
    await coordinator.next('hello')
    for (let loss = 0; loss < 3; loss += 1) {
      coordinator.drop()
      await coordinator.next('hello')
    }
    expect(coordinator.registrations).toBe(1)
  })

  test('goes on trying while the coordinator is busy, and registers as soon as it is not', async () => {
    coordinator.refuseRegistration = { status: 503, code: 'overloaded', retryable: true }
    const node = await start()
    while (coordinator.registrations < 3) await new Promise(setImmediate)
    expect(node.health()).toMatchObject({ link: { state: 'connecting', refusal: { code: 'overloaded' } } })
    delete coordinator.refuseRegistration
    await node.live
  })

  test('tells a refusal that will stand, and who asked for the node learns it', async () => {
    coordinator.refuseRegistration = { status: 409, code: 'registration_conflict', retryable: false }
    const node = await start()
    await expect(node.live).rejects.toMatchObject({ code: 'registration_conflict' })
  })

  test('a node that the coordinator no longer knows registers again', async () => {
    const node = await start()
    await node.live
    await coordinator.next('hello')
    coordinator.forgetNodes()
    coordinator.drop()
    await coordinator.next('hello')
    await coordinator.next('heartbeat')
    expect(coordinator.registrations).toBe(2)
  })

  test('heartbeats go out as often as the coordinator asked for', async () => {
    const node = await start()
    await node.live
    const first = await coordinator.next('heartbeat')
    const second = await coordinator.next('heartbeat')
    expect(Date.parse(second.at) - Date.parse(first.at)).toBeGreaterThanOrEqual(150)
    expect(second).toMatchObject({ running: 0, queued: 0 })
  })

  test('a coordinator that has gone silent is left for a new connection', async () => {
    const node = await start()
    await node.live
    await coordinator.next('hello')
    coordinator.pauseReading()
    await coordinator.next('hello')
  })

  test('a node without isolation does not come near a coordinator, and says why', async () => {
    const refused = startNode({ ...nodeOptions(dataDir), driver: createProcessDriver() })
    await expect(refused).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      facts: { refusal: 'no_isolation' },
    })
    expect(coordinator.registrations).toBe(0)
  })

  test('a second node on the same data directory is refused', async () => {
    await start()
    await expect(start()).rejects.toMatchObject({ code: 'database_in_use' })
  })
})
