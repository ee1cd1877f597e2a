import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, globSync, openSync, readFileSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createBubblewrapDriver } from './bubblewrap.ts'
import { type Bench, openBench, ROOMY, SANDBOX_MODES } from './testing/bench.ts'

describe.each(SANDBOX_MODES)('in a %s sandbox', (mode) => {
  let bench: Bench
  beforeEach(async () => {
    bench = await openBench({ mode })
  })
  afterEach(() => bench.close())

  const untilDead = async () => {
    while ((await bench.alive()).length > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  /** What this state directory says the node made on the machine. */
  async function journalled(kind: 'cgroups' | 'stages'): Promise<string[]> {
    const dir = join(bench.stateDir, kind)
    if (!existsSync(dir)) return []
    return (await readdir(dir)).flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n'))
  }

  it('runs a tool whose owner shows it the machine’s directories by the names of its links', async () => {
    const [argv, readOnlyPaths] = [
      ['/bin/sh', '-c', 'echo here'],
      ['/usr', '/bin', '/lib', '/lib64'],
    ]
    const facts = await bench.run([], { argv, readOnlyPaths })
    expect(facts.output.toString()).toBe('here\n')
  })

  describe('closing the driver', () => {
    it('kills what runs and leaves no process, mount, cgroup or directory', async () => {
      const runs = [1, 2, 3].map(() => bench.driver.run(bench.spec(['daemons', '3', '0', '60000']), () => {}))
      await Promise.all(runs.map((run) => run.started))
      const [groups, stages] = await Promise.all([journalled('cgroups'), journalled('stages')])
      expect(groups.some((path) => existsSync(path))).toBe(true)
      const made = [...groups, ...stages].filter((path) => existsSync(path))
      await bench.driver.close()
      for (const facts of await Promise.all(runs.map((run) => run.finished)))
        expect(facts.stop).toBe('cancelled')
      expect(await bench.alive()).toEqual([])
      expect(made.filter((path) => existsSync(path))).toEqual([])
      expect(await journalled('cgroups')).toEqual([])
      expect(await journalled('stages')).toEqual([])
      expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(bench.stateDir)
    })
  })

  describe('a node that is killed', () => {
    /** Another node on the same state directory, with tools running that ignore every signal. */
    async function startVictim() {
      const script = join(bench.workspaceDir, '..', 'victim.ts')
      const workspaceDir = join(bench.workspaceDir, '..', 'private')
      await mkdir(workspaceDir, { mode: 0o700 })
      await writeFile(
        script,
        `import { createBubblewrapDriver } from ${JSON.stringify(new URL('./bubblewrap.ts', import.meta.url).pathname)}
       const [stateDir, workspaceDir, canary] = process.argv.slice(2)
       const driver = createBubblewrapDriver({ mode: '${mode}', stateDir })
       const limits = ${JSON.stringify({ ...ROOMY, timeMs: 600_000 })}
       const idle = { executionId: 'x', workspaceDir, argv: [canary, 'fail', '0'], env: {}, limits, deadlineMs: 600_000, readOnlyPaths: [] }
       for (let i = 0; i < 2; i++) await driver.run(idle, () => {}).finished
       for (let i = 0; i < 3; i++) {
         const spec = { executionId: 'x', workspaceDir, argv: [canary, 'daemons', '5', '0', '600000'], env: {}, limits, deadlineMs: 600_000, readOnlyPaths: [] }
         await driver.run(spec, () => {}).started
       }
       process.stdout.write('running')`,
      )
      const node = spawn(process.execPath, [script, bench.stateDir, workspaceDir, bench.canary], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [word] = await once(node.stdout, 'data')
      expect(String(word)).toBe('running')
      return node
    }

    it('takes every process of its tools with it, and the next start removes its cgroups and mounts', async () => {
      const node = await startVictim()
      expect((await bench.alive()).length).toBeGreaterThan(3)
      const made = [...(await journalled('cgroups')), ...(await journalled('stages'))]
      node.kill('SIGKILL')
      await once(node, 'exit')
      await untilDead()
      expect(made.some((path) => existsSync(path))).toBe(true)
      const next = createBubblewrapDriver({ mode, stateDir: bench.stateDir })
      const { isolationClass } = await next.detect()
      expect(isolationClass).toBe('namespaces+cgroups')
      expect(made.filter((path) => existsSync(path))).toEqual([])
      await next.close()
      expect(globSync(join(bench.stateDir, '{cgroups,stages,canary-*}/*'))).toEqual([])
    })
  })

  describe('a sandbox whose set-up was broken off', () => {
    it('is killed at the next start, and nothing else is', async () => {
      await bench.driver.detect()
      await bench.driver.close()
      const seccomp = openSync(join(bench.stateDir, 'seccomp.bpf'), 'r')
      const hold = (words: string[], fd: number | 'ignore') =>
        spawn(bench.canary, ['sleep', '60000', ...words], {
          stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'ignore', fd],
        })
      const orphan = hold(['/orien-init'], seccomp)
      const others = [hold(['/orien-init'], 'ignore'), hold([], seccomp)]
      closeSync(seccomp)
      const died = once(orphan, 'exit')
      await bench.driver.detect()
      expect(await died).toEqual([null, 'SIGKILL'])
      expect(others.map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual([null, null])
      for (const other of others) other.kill('SIGKILL')
    })
  })

  describe('a machine that cannot isolate', () => {
    it('without bubblewrap is refused with its code, and runs nothing', async () => {
      const driver = createBubblewrapDriver({
        mode,
        stateDir: bench.stateDir,
        searchPath: bench.workspaceDir,
      })
      expect(await driver.detect()).toMatchObject({
        servesStrangers: false,
        isolationClass: 'none',
        refusal: { code: 'bubblewrap_missing' },
      })
      const facts = await driver.run(bench.spec(['fail', '0']), () => {}).finished
      expect(facts).toMatchObject({ stop: 'sandbox_error', detail: 'bubblewrap is not installed' })
    })

    it('without a compiler and without a fitting prebuilt helper is refused with its code, and runs nothing', async () => {
      const driver = createBubblewrapDriver({
        mode,
        stateDir: join(bench.workspaceDir, '..', 'elsewhere'),
        programs: { compilers: ['no-such-compiler'], prebuiltDir: bench.workspaceDir },
      })
      expect(await driver.detect()).toMatchObject({
        servesStrangers: false,
        isolationClass: 'none',
        refusal: { code: 'helper_missing' },
      })
      expect((await driver.run(bench.spec(['fail', '0']), () => {}).finished).stop).toBe('sandbox_error')
    })

    it('where bubblewrap cannot make a user namespace is refused with its code', async () => {
      const bwrapPath = join(bench.workspaceDir, '..', 'bwrap')
      const script =
        '#!/bin/sh\n[ "$1" = --version ] && exec echo bubblewrap 0.8.0\necho "No permissions to create new namespace" >&2\nexit 1\n'
      await writeFile(bwrapPath, script, { mode: 0o755 })
      const driver = createBubblewrapDriver({ mode, stateDir: bench.stateDir, bwrapPath })
      const { refusal, servesStrangers } = await driver.detect()
      expect(servesStrangers).toBe(false)
      expect(refusal).toMatchObject({ code: 'userns_forbidden' })
      await driver.close()
    })

    it('without writable cgroups serves with the lower class, and says where its figures come from', async () => {
      const driver = createBubblewrapDriver({ mode, stateDir: bench.stateDir, useCgroups: false })
      expect(await driver.detect()).toMatchObject({ isolationClass: 'namespaces', servesStrangers: true })
      const facts = await driver.run(bench.spec(['fail', '0']), () => {}).finished
      expect(facts.sources).toEqual({ wall: 'helper', cpu: 'helper', memory: 'helper', io: 'helper' })
      await driver.close()
    })
  })
})
