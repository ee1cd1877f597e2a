import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invariant } from '@orien/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Bench, openBench, ROOMY } from '../testing/bench.ts'
import { type EngineStandIn, openEngineStandIn, STAND_IN_ENGINE } from '../testing/engine.ts'
import { createContainerDriver } from './container.ts'
import { readEngineFrames } from './frames.ts'
import { proofPath, recordProof } from './proof.ts'

// An engine's stand-in runs nothing. What is shown here is what an engine is asked for, and when strangers are refused;
// whether a real engine then holds a tool is for the contract suite (container.contract.ts) to show, on a machine with one.
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

  it('where the contract suite has not passed with the engine that is there', async () => {
    expect(await bench.driver.detect()).toMatchObject({
      servesStrangers: false,
      isolationClass: 'none',
      refusal: { code: 'driver_unproven' },
    })
  })

  it.each([
    ['another engine', { id: 'OTHER' }],
    ['another version', { version: '28.2.3' }],
    ['another runtime', { runtime: 'runsc' }],
  ])('by a proof of %s', async (_, change) => {
    await bench.driver.detect()
    await recordProof(proofPath(bench.stateDir), { ...STAND_IN_ENGINE, ...change })
    expect((await bench.driver.detect()).refusal?.code).toBe('driver_unproven')
  })

  it('by a proof that was written by hand', async () => {
    await mkdir(bench.stateDir, { recursive: true })
    await writeFile(proofPath(bench.stateDir), JSON.stringify({ proved: true }))
    expect((await bench.driver.detect()).refusal?.code).toBe('driver_unproven')
  })

  it('where a proof is right but the canaries cannot be run', async () => {
    await bench.driver.detect()
    await recordProof(proofPath(bench.stateDir), STAND_IN_ENGINE)
    expect(await bench.driver.detect()).toMatchObject({
      servesStrangers: false,
      refusal: { code: 'canary_failed' },
    })
  })
})

describe('what an engine is asked for', () => {
  it('a container without network, capabilities, privileges or a writable root, within every limit', async () => {
    await bench.run(['try', 'vsock'], {
      limits: { ...ROOMY, processes: 7, diskBytes: 4_096 },
      env: { A: 'b' },
    })
    const made = engine.requests.find(({ path }) => path === '/containers/create')
    invariant(made, 'a container was asked for')
    expect(made.body).toMatchObject({
      Entrypoint: [bench.canary, 'try', 'vsock'],
      Env: ['A=b'],
      User: expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/),
      WorkingDir: '/workspace',
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        Privileged: false,
        Memory: ROOMY.memoryBytes,
        MemorySwap: ROOMY.memoryBytes,
        PidsLimit: 8,
        Tmpfs: { '/tmp': 'rw,nosuid,nodev,size=4096,mode=1777' },
      },
    })
    const { HostConfig } = made.body as { HostConfig: { SecurityOpt: string[]; Mounts: Mount[] } }
    expect(HostConfig.SecurityOpt[0]).toBe('no-new-privileges')
    expect(HostConfig.SecurityOpt[1]).toMatch(/^seccomp=\{.*"ptrace".*\}$/)
    const writable = HostConfig.Mounts.filter(({ ReadOnly }) => !ReadOnly)
    expect(writable).toEqual([
      { Type: 'bind', Source: bench.workspaceDir, Target: '/workspace', ReadOnly: false },
    ])
    expect(HostConfig.Mounts.map(({ Source }) => Source).join()).not.toContain('docker.sock')
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
    expect(facts.detail).not.toContain('/')
  })
})

type Mount = { Source: string; Target: string; ReadOnly: boolean }

describe('an engine’s stream', () => {
  const frame = (kind: number, text: string) => {
    const head = Buffer.alloc(8)
    head.writeUInt8(kind, 0)
    head.writeUInt32BE(text.length, 4)
    return Buffer.concat([head, Buffer.from(text)])
  }
  const whole = Buffer.concat([frame(1, 'out'), frame(2, ''), frame(2, 'err'), frame(1, '!')])

  it('is cut apart wherever it was cut on its way', async () => {
    for (let cut = 0; cut <= whole.length; cut += 1) {
      const text = { stdout: '', stderr: '' }
      for await (const { stream, bytes } of readEngineFrames(pieces(whole, cut)))
        text[stream] += Buffer.from(bytes).toString()
      expect(text).toEqual({ stdout: 'out!', stderr: 'err' })
    }
  })

  it('of another kind is refused', async () => {
    const read = readEngineFrames(pieces(Buffer.from('HTTP/1.1 500 whatever'), 3))
    await expect(read.next()).rejects.toMatchObject({ code: 'sandbox_unavailable' })
  })
})

async function* pieces(whole: Buffer, cut: number): AsyncGenerator<Buffer> {
  yield whole.subarray(0, cut)
  yield whole.subarray(cut)
}
