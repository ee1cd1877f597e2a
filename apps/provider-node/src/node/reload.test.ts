import { copyFile, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jwsHash } from '@orien/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { FIXTURES, makeDataDir, removeDir } from '../testing/node.ts'
import { startWorld, type World } from '../testing/world.ts'

// What is tested is what the node does around a tool; development's driver spares each test the proof of a sandbox.
const QUICK = { reconnectMs: 10, reconnectMaxMs: 50, channelWaitMs: 200, channelRetryMs: 20 }

let world: World
let ownDir = ''
let manifestFile = ''
beforeEach(async () => {
  ownDir = await makeDataDir('http://127.0.0.1:1')
  manifestFile = join(ownDir, 'orien.tools.yaml')
  await copyFile(join(FIXTURES, 'echo.mjs'), join(ownDir, 'echo.mjs'))
  await copyFile(join(FIXTURES, 'orien.tools.yaml'), manifestFile)
  const driver = createProcessDriver()
  world = await startWorld({ driver, allowUnisolated: true, timing: QUICK, manifestFile })
})
afterEach(async () => {
  await world.close()
  await removeDir(ownDir)
})

async function edit(from: string, to: string): Promise<void> {
  const next = `${manifestFile}.next`
  await writeFile(next, (await readFile(manifestFile, 'utf8')).replace(from, to))
  await rename(next, manifestFile)
}

const waits = {
  tool: 'script',
  args: { code: 'process.stdin.resume(); console.log("in"); setTimeout(() => {}, 400)' },
}

describe('a node that reads its tools file again', () => {
  test('finishes what it had accepted under the old manifest and terms, and offers the new ones', async () => {
    const session = world.newSession()
    const running = session.work(waits)
    world.dispatch(running)
    await world.coordinator.next('log')
    await edit('Runs JavaScript from its standard input.', 'Runs other JavaScript.')
    const reloaded = await world.node.reloadTools()
    expect(reloaded).toMatchObject({ changed: ['script'], kept: ['echo'], added: [], removed: [] })
    const offer = await world.nextOffer()
    expect(jwsHash(offer)).toBe(reloaded.offerHash)
    expect(reloaded.offerHash).not.toBe(running.offerHash)
    expect(world.coordinator.registrations).toBe(2)
    const receipt = await world.receipt(running.executionId)
    expect(receipt).toMatchObject({ status: 'completed', manifestHash: running.manifestHash })
    expect(await world.run(world.newSession().work(waits))).toMatchObject({ status: 'completed' })
  })

  test('keeps sessions on the offer that they were opened on, work that comes late included', async () => {
    const session = world.newSession()
    await world.run(session.work())
    await edit('  - id: script', '  - id: renamed')
    await world.node.reloadTools()
    await world.nextOffer()
    expect(await world.run(session.work(waits))).toMatchObject({ status: 'completed', tool: 'script' })
    const next = world.newSession()
    expect(
      await world.run(next.work({ ...waits, manifestHash: session.work(waits).manifestHash })),
    ).toMatchObject({
      reason: 'rejected',
    })
  })

  test('changes nothing for a file with a mistake, and says in which line it is', async () => {
    await edit('timeMs: 20000', 'timeMs: -1')
    const refused = await world.node.reloadTools().catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'validation_failed' })
    expect(String(refused)).toMatch(/orien\.tools\.yaml:\d+:\d+ tools\[0\]\.limits\.timeMs/)
    expect(await world.run(world.newSession().work())).toMatchObject({ status: 'completed' })
    expect(world.coordinator.registrations).toBe(1)
  })

  test('names the tool whose executable is gone, and goes on with the old set', async () => {
    await edit('executable: node', 'executable: /nowhere/node')
    await expect(world.node.reloadTools()).rejects.toMatchObject({
      code: 'setup_failed',
      message: /tool echo/,
    })
    const { apiUrl, apiToken } = world.node
    const headers = { authorization: `Bearer ${apiToken}` }
    const answer = await fetch(`${apiUrl}/tools/reload`, { method: 'POST', headers })
    // The owner's mistake, not the node's: with the line, and with what to do about it.
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      code: 'validation_failed',
      hint: expect.stringContaining('Install the program'),
      issues: [{ path: expect.stringMatching(/^orien\.tools\.yaml:\d+:\d+/) }],
    })
    expect(await world.run(world.newSession().work())).toMatchObject({ status: 'completed' })
  })

  test('stays connected when nothing of the offer has changed', async () => {
    const { changed, isNewOffer } = await world.node.reloadTools()
    expect({ changed, isNewOffer }).toEqual({ changed: [], isNewOffer: false })
    await edit('readOnlyPaths: [./echo.mjs]', 'env: { NOTE: "a" }\n    readOnlyPaths: [./echo.mjs]')
    expect(await world.node.reloadTools()).toMatchObject({ changed: ['echo'], isNewOffer: false })
    expect(world.coordinator.registrations).toBe(1)
  })

  test('takes the last of reloads that overlap', async () => {
    const first = world.node.reloadTools()
    await edit('- id: echo', '- id: echo2')
    const last = world.node.reloadTools()
    await first
    expect((await last).kept.length + (await last).added.length).toBe(2)
    expect((await last).offerHash).toBe(jwsHash(await world.nextOffer()))
  })
})
