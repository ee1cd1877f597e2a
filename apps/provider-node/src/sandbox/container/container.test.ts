import { join } from 'node:path'
import { invariant } from '@orien/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Bench, openBench, ROOMY } from '../testing/bench.ts'
import { type EngineStandIn, openEngineStandIn } from '../testing/engine.ts'
import { createContainerDriver } from './container.ts'
import { basesOf } from './groupBelow.ts'

// An engine's stand-in runs nothing. What is shown here is what an engine is asked for, and when strangers are refused;
// that a real engine then holds a tool is shown by the contract suite (container.contract.ts), on a machine with one.
let engine: EngineStandIn
let bench: Bench
beforeEach(async () => {
  engine = await openEngineStandIn()
  bench = await openBench({
    make: (stateDir) => createContainerDriver({ stateDir, socketPath: engine.socketPath }),
  })
})
afterEach(async () => {
  await bench.close()
  await engine.close()
})

describe('strangers are refused', () => {
  it('where no engine answers', async () => {
    const driver = createContainerDriver({
      stateDir: bench.stateDir,
      socketPath: join(bench.stateDir, 'no.sock'),
    })
    expect(await driver.detect()).toMatchObject({
      servesStrangers: false,
      isolationClass: 'none',
      refusal: { code: 'engine_missing' },
    })
  })

  it('where an engine answers and the self-test cannot be run in it', async () => {
    expect(await bench.driver.detect()).toMatchObject({
      servesStrangers: false,
      isolationClass: 'none',
      refusal: { code: 'canary_failed' },
    })
  })
})

type Mount = { Source: string; Target: string; ReadOnly: boolean }

describe('what an engine is asked for', () => {
  it('a container without network, capabilities, privileges or a writable root, with the helper as its first process', async () => {
    await bench.run(['try', 'vsock'], { limits: { ...ROOMY, diskBytes: 4_096 }, env: { A: 'b' } })
    const made = engine.requests.find(({ path }) => path === '/containers/create')
    invariant(made, 'a container was asked for')
    expect(made.body).toMatchObject({
      Entrypoint: ['/orien-init', '/orien-channel', '/orien-filter'],
      Env: [],
      User: expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/),
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        Privileged: false,
        SecurityOpt: ['no-new-privileges'],
        Tmpfs: { '/tmp': 'rw,nosuid,nodev,size=4096,mode=1777' },
      },
    })
    const { HostConfig } = made.body as { HostConfig: { Mounts: Mount[] } }
    const writable = HostConfig.Mounts.filter(({ ReadOnly }) => !ReadOnly)
    expect(writable).toEqual([
      { Type: 'bind', Source: bench.workspaceDir, Target: '/workspace', ReadOnly: false },
    ])
    expect(HostConfig.Mounts.map(({ Source }) => Source).join()).not.toContain(engine.socketPath)
  })

  it('first of all, to remove what a killed node left', async () => {
    await bench.driver.detect()
    expect(engine.requests.map(({ method, path }) => `${method} ${path}`)).toContain(
      'DELETE /containers/left',
    )
  })

  it('a refusal of the engine is a fault of the sandbox, costs nothing, and shows no path of the host', async () => {
    const facts = await bench.run(['fail', '0'])
    expect(facts).toMatchObject({ stop: 'sandbox_error', effectiveMicros: 0 })
    expect(facts.detail).toBe('the engine refused the container')
  })
})

describe('the group of a container', () => {
  const first = (controller: string) => ({
    ...{ version: 1 as const, controllers: [controller], rootDir: '/c' },
    ownDir: `/c/${controller}/x`,
  })
  const second = { version: 2 as const, controllers: [], rootDir: '/u', ownDir: '/u/x' }

  it('is found where version 1 counts everything, and where version 2 does', () => {
    expect(basesOf([first('memory'), first('pids'), first('cpuacct'), second])).toEqual({
      ...{ memoryVersion: 1, memory: '/c/memory/x', pids: '/c/pids/x', cpu: '/c/cpuacct/x' },
    })
    expect(basesOf([second])).toEqual({ memoryVersion: 2, memory: '/u/x', pids: '/u/x', unified: '/u/x' })
  })

  it('is none where an engine counts memory or processes in neither', () => {
    expect(basesOf([first('pids'), second])).toBeUndefined()
    expect(basesOf([])).toBeUndefined()
  })
})
