import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, openBench, ROOMY, SANDBOX_MODES } from './testing/bench.ts'

const MEBIBYTE = 1_048_576
const NOBODY = 65_534

/** The first process of a run is the helper's child. */
const parentOf = async (pid: number): Promise<number> =>
  Number(/\) \S+ (\d+)/.exec(await readFile(`/proc/${pid}/stat`, 'utf8'))?.[1])

describe.each(SANDBOX_MODES)('on a machine without cgroups, in a %s sandbox', (mode) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await openBench({ mode, useCgroups: false })
  })
  afterAll(() => bench.close())

  it('a tool that holds more memory than its limit is stopped for it', async () => {
    const limits = { ...ROOMY, memoryBytes: 32 * MEBIBYTE }
    expect(await bench.run(['memory', '128', '60000'], { limits })).toMatchObject({
      stop: 'out_of_memory',
      signal: 'SIGKILL',
    })
  })

  it('children that hold too much together are stopped, none of them alone', async () => {
    const limits = { ...ROOMY, memoryBytes: 64 * MEBIBYTE }
    expect((await bench.run(['crowd', '4', '24'], { limits })).stop).toBe('out_of_memory')
    expect((await bench.run(['crowd', '2', '24'], { limits })).stop).toBe('exit')
  })

  it('memory that a runtime reserves and never touches is not counted', async () => {
    const limits = { ...ROOMY, memoryBytes: 128 * MEBIBYTE }
    const facts = await bench.run([], { argv: [process.execPath, '-e', 'console.log(1)'], limits })
    expect(facts).toMatchObject({ stop: 'exit', exitCode: 0 })
  })

  it('a fork bomb stops at the process limit of its own sandbox', async () => {
    const limits = { ...ROOMY, processes: 12 }
    const runs = await Promise.all([1, 2, 3].map(() => bench.run(['forks', '13'], { limits })))
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
  })

  it('every other stop keeps its reason', async () => {
    expect(await bench.run(['sleep', '60000'], { deadlineMs: 100 })).toMatchObject({
      stop: 'deadline',
      effectiveMicros: 100_000,
    })
    expect((await bench.run(['flood'])).stop).toBe('output_limit')
    expect((await bench.run(['daemons', '10', '0'])).stop).toBe('exit')
    expect(await bench.alive()).toEqual([])
  })
})

describe.each(SANDBOX_MODES)('the process that keeps the meter, in a %s sandbox', (mode) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await openBench({ mode })
  })
  afterAll(() => bench.close())

  it('cannot be signalled into another status', async () => {
    const code = `for (let s = 1; s < 32; s++) try { process.kill(1, s) } catch {}
      require('child_process').spawnSync(process.execPath, ['-e', 'process.kill(process.ppid, 0)'])
      process.exit(6)`
    expect(await bench.run([], { argv: [process.execPath, '-e', code] })).toMatchObject({
      stop: 'exit',
      exitCode: 6,
    })
  })

  it('that cannot run any more does not prolong the life of a tool: the node kills the namespace', async () => {
    // Long enough that the helper is stopped before its own clock ends the run, on a busy machine as well.
    const run = bench.driver.run(bench.spec(['sleep', '60000'], { deadlineMs: 3_000 }), () => {})
    await run.started
    const [tool = 0] = await bench.alive()
    process.kill(await parentOf(tool), 'SIGSTOP')
    const facts = await run.finished
    expect(facts).toMatchObject({
      stop: 'deadline',
      exitCode: null,
      signal: 'SIGKILL',
      sources: { wall: 'node' },
    })
    expect(facts.effectiveMicros).toBeLessThanOrEqual(3_000_000)
    expect(await bench.alive()).toEqual([])
  })

  it('that is killed together with bubblewrap leaves nothing running when the run is told to be over', async () => {
    const bare = await openBench({ mode, useCgroups: false })
    const run = bare.driver.run(bare.spec(['daemons', '20', '0', '60000'], { deadlineMs: 3_000 }), () => {})
    await run.started
    const [tool = 0] = await bare.alive()
    process.kill(await parentOf(tool), 'SIGSTOP')
    expect((await run.finished).stop).toBe('deadline')
    expect(await bare.alive()).toEqual([])
    await bare.close()
  })

  it('keeps many runs at once apart', async () => {
    const runs = await Promise.all(Array.from({ length: 12 }, (_, code) => bench.run(['fail', `${code}`])))
    expect(runs.map(({ exitCode }) => exitCode)).toEqual(Array.from({ length: 12 }, (_, code) => code))
  })
})

describe('a node without root', () => {
  it('isolates as well, as itself, with the class that it can prove', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'orien-nobody-'))
    const script = join(dir, 'run.ts')
    await writeFile(
      script,
      `import { createBubblewrapDriver } from ${JSON.stringify(new URL('./bubblewrap.ts', import.meta.url).pathname)}
       const [stateDir, workspaceDir] = process.argv.slice(2)
       const driver = createBubblewrapDriver({ stateDir })
       const { isolationClass, servesStrangers, refusal } = await driver.detect()
       const limits = { timeMs: 9000, memoryBytes: 1 << 28, processes: 32, outputBytes: 1000 }
       const argv = [process.execPath, '-e', 'require("fs").writeFileSync("made", "x"); process.exit(process.getuid() === 1000 ? 8 : 9)']
       const { stop, exitCode } = await driver.run({ executionId: 'x', workspaceDir, argv, env: {}, limits, deadlineMs: 9000, readOnlyPaths: [] }, () => {}).finished
       await driver.close()
       process.stdout.write(JSON.stringify({ isolationClass, servesStrangers, refusal, stop, exitCode }))`,
    )
    const isRoot = process.getuid?.() === 0
    await mkdir(join(dir, 'workspace'))
    await chmod(dir, 0o755)
    if (isRoot) for (const path of [dir, join(dir, 'workspace')]) await chown(path, NOBODY, NOBODY)
    const node = spawn(process.execPath, [script, join(dir, 'state'), join(dir, 'workspace')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    })
    const parts: Buffer[] = []
    node.stdout.on('data', (part: Buffer) => parts.push(part))
    await once(node, 'close')
    await rm(dir, { recursive: true })
    expect(JSON.parse(Buffer.concat(parts).toString())).toMatchObject({
      isolationClass: expect.stringMatching(/^namespaces/),
      servesStrangers: true,
      stop: 'exit',
      exitCode: 8,
    })
  })
})
