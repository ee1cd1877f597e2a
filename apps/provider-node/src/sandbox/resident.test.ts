import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Discard, RunSpec } from './driver.ts'
import { type Bench, openBench, ROOMY } from './testing/bench.ts'

const MEBIBYTE = 1_048_576
/** TELL_START_WITHIN_MS of native/orien-init.c. */
const TOLD_WITHIN_MICROS = 2_000

describe.each([
  { name: 'with cgroups', useCgroups: true },
  { name: 'without cgroups', useCgroups: false },
])('a sandbox that is used again, $name', ({ useCgroups }) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await openBench({ mode: 'resident', useCgroups })
  })
  afterAll(() => bench.close())

  const script = (code: string, changes?: Partial<RunSpec>) =>
    bench.run([], { argv: [process.execPath, '-e', code], ...changes })

  /** Both in one sandbox: what the first one leaves, the second one would find. */
  async function follow(first: string, second: string): Promise<string> {
    await script('0')
    const before = bench.driver.counts()
    expect(await script(first)).toMatchObject({ stop: 'exit', exitCode: 0 })
    const facts = await script(second)
    expect(bench.driver.counts()).toMatchObject({
      made: before.made,
      reused: before.reused + 2,
      discarded: before.discarded,
    })
    expect(facts).toMatchObject({ stop: 'exit', exitCode: 0 })
    return facts.output.toString()
  }

  /** The first one leaves what cannot be taken away, so the second one gets another sandbox. */
  async function followElsewhere(
    first: readonly string[],
    second: readonly string[],
    reason: Discard,
  ): Promise<number | null> {
    const before = discards(reason)
    expect(await bench.run(first)).toMatchObject({ stop: 'exit', exitCode: 0 })
    const facts = await bench.run(second)
    expect(discards(reason)).toEqual(oneMore(before))
    return facts.exitCode
  }

  /** How many sandboxes were given up, and how many of them for this. */
  const discards = (reason: Discard) => {
    const { discarded, discardedFor } = bench.driver.counts()
    return { discarded, ofThese: discardedFor?.[reason] ?? 0 }
  }
  const oneMore = ({ discarded, ofThese }: ReturnType<typeof discards>) => ({
    discarded: discarded + 1,
    ofThese: ofThese + 1,
  })

  it('serves the second run too, however soon after its set-up the first one ended', async () => {
    for (let i = 0; i < 20; i++) {
      const before = bench.driver.counts()
      for (let run = 0; run < 2; run++) await bench.run(['fail', '0'], { manifestHash: `tool ${i}` })
      expect(bench.driver.counts()).toMatchObject({ made: before.made + 1, reused: before.reused + 1 })
    }
  })

  it('says of a start that it tells with the end how long ago it was', async () => {
    const run = bench.driver.run(bench.spec(['sleep', '0']), () => {})
    const toldMicros = (await run.started) * 1_000
    const { effectiveMicros } = await run.finished
    expect(toldMicros).toBeGreaterThanOrEqual(Math.min(effectiveMicros, TOLD_WITHIN_MICROS))
  })

  it('holds no process of the run before', async () => {
    const daemon = `require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' }).unref()`
    const pids = `console.log(require('fs').readdirSync('/proc').filter((name) => +name).length)`
    expect(await follow(daemon, pids)).toBe('2\n')
  })

  it('holds no file of it in /tmp or /dev/shm, closed, deep or hidden', async () => {
    const litter = `const fs = require('fs')
      for (const root of ['/tmp', '/dev/shm']) {
        fs.mkdirSync(root + '/a/b/c', { recursive: true })
        for (const name of ['.hidden', 'new\\nline', 'a/b/c/deep', '…']) fs.writeFileSync(root + '/' + name, 'x')
        fs.symlinkSync('/workspace', root + '/link')
        fs.chmodSync(root + '/a/b', 0)
        for (let i = 0; i < 300; i++) fs.writeFileSync(root + '/many' + i, '')
        fs.chmodSync(root, 0)
      }`
    // Where the program itself lies below /tmp, the way to it is the sandbox's own.
    const look = `const fs = require('fs')
      console.log(['/tmp', '/dev/shm'].map((root) => [(fs.statSync(root).mode & 0o7777).toString(8), ...fs.readdirSync(root).filter((name) => !process.execPath.startsWith(root + '/' + name + '/'))].join()).join(' '))`
    expect(await follow(litter, look)).toBe('1777 1777\n')
  })

  it('holds no abstract socket of it', async () => {
    const offer = `require('net').createServer().listen('\\0left', () => process.exit(0))`
    const look = `require('net').connect('\\0left').on('error', (e) => console.log(e.code)).on('connect', () => console.log('found'))`
    expect(await follow(offer, look)).toBe('ECONNREFUSED\n')
  })

  it('holds no System V object of it, not even one that is closed to everybody', async () => {
    const before = (await bench.run(['fail', '0'])) && bench.driver.counts()
    expect((await bench.run(['objects', '5'])).exitCode).toBe(0)
    expect((await bench.run(['found', '5'])).exitCode).toBe(0)
    expect(bench.driver.counts()).toMatchObject({ made: before.made, discarded: before.discarded })
  })

  it('holds no key of it: the filter refuses to make one', async () => {
    for (const round of [1, 2]) {
      const { output } = await bench.run(['try', 'key', 'keyring', 'queue'])
      expect(output.toString(), `round ${round}`).not.toContain('escaped')
    }
  })

  it('has no writer of it in the workspace, whose files stay', async () => {
    const writer = `const fs = require('fs')
      const child = "setInterval(() => require('fs').appendFileSync('/workspace/grows', 'x'), 1)"
      require('child_process').spawn(process.execPath, ['-e', child], { detached: true, stdio: 'ignore' }).unref()
      while (!fs.existsSync('/workspace/grows')) {}`
    const look = `const { statSync } = require('fs'); const size = statSync('/workspace/grows').size
      setTimeout(() => console.log(size > 0, statSync('/workspace/grows').size - size), 50)`
    expect(await follow(writer, look)).toBe('true 0\n')
  })

  it('has nothing of its environment, arguments or input', async () => {
    const secret = 'not for the next one'
    await script('process.stdin.resume()', { env: { SECRET: secret }, stdin: Buffer.from(secret) })
    const look = `const fs = require('fs')
      for (const name of ['/proc/self/environ', '/proc/self/cmdline', '/dev/stdin']) console.log(fs.readFileSync(name, 'latin1'))
      try { console.log(fs.readFileSync('/proc/1/mem')) } catch (error) { console.log(error.code) }`
    const { output } = await script(look)
    expect(output.toString()).not.toContain(secret)
    expect(output.toString()).toContain('EACCES')
  })

  it('has limits of its own in each run, whatever the one before had', async () => {
    const small = { ...ROOMY, processes: 4, memoryBytes: 32 * MEBIBYTE, outputBytes: 10 }
    expect((await bench.run(['forks', '5'], { limits: small })).exitCode).toBe(0)
    expect((await bench.run(['memory', '64'])).exitCode).toBe(0)
    expect((await bench.run(['crowd', '8', '1'])).exitCode).toBe(0)
    expect((await bench.run(['try', 'ptrace'])).output.length).toBeGreaterThan(10)
    expect((await bench.run(['memory', '64', '60000'], { limits: small })).stop).toBe('out_of_memory')
    expect((await bench.run(['forks', '5'], { limits: small })).exitCode).toBe(0)
  })

  it('cannot have the limits of its helper changed for the next run', async () => {
    const attacks = ['try', 'limits_of=1', 'affinity_of=1', 'priority_of=1', 'raise_limit']
    for (const round of [1, 2])
      expect((await bench.run(attacks)).output.toString(), `round ${round}`).not.toContain('escaped')
    const { output } = await script(`console.log(require('fs').readFileSync('/proc/self/limits', 'utf8'))`)
    expect(output.toString()).toMatch(
      new RegExp(`Max processes +${ROOMY.processes + 1} +${ROOMY.processes + 1}`),
    )
  })

  it('is metered anew for each run: what it reads and writes', async () => {
    const script = async (...words: string[]) => (await bench.run(words)).io
    const quiet = await script('fail', '0')
    expect((await script('move', '8'))?.writtenBytes).toBe(8 * MEBIBYTE)
    expect((await script('move-in-orphans', '2', '1'))?.readBytes).toBeGreaterThan(2 * MEBIBYTE)
    expect(await script('fail', '0')).toEqual(quiet)
    expect(quiet?.writtenBytes).toBe(0)
  })

  it('is metered anew for each run: time, processor time, memory', async () => {
    const large = await bench.run(['memory', '64'])
    const burnt = await bench.run(['burn', '150'])
    const idle = await bench.run(['sleep', '100'])
    expect(large.maxRssBytes).toBeGreaterThan(63 * MEBIBYTE)
    expect(large.maxRssBytes).toBeLessThan(66 * MEBIBYTE)
    expect(burnt.maxRssBytes).toBeLessThan(4 * MEBIBYTE)
    expect(burnt.cpuMicros).toBeGreaterThanOrEqual(150_000)
    expect(burnt.cpuMicros).toBeLessThanOrEqual(160_000)
    expect(idle.cpuMicros).toBeLessThan(10_000)
    expect(idle.effectiveMicros).toBeGreaterThanOrEqual(100_000)
    expect(idle.effectiveMicros).toBeLessThan(burnt.effectiveMicros + large.effectiveMicros + 2_000_000)
  })

  it('that was left with something the node cannot take away is given up', async () => {
    expect(await followElsewhere(['mark', '/tmp'], ['fail', '0'], 'temporary_files')).toBe(0)
    expect(await followElsewhere(['litter', '/tmp', '5000'], ['fail', '0'], 'temporary_files')).toBe(0)
    expect(await followElsewhere(['mark', '/dev/shm'], ['fail', '0'], 'shared_memory')).toBe(0)
  })

  it('whose network still holds an address back is given up, so that the next run can have it', async () => {
    const converse = `const net = require('net')
      net.createServer((peer) => peer.end()).listen(4321, '127.0.0.1', () => net.connect(4321, '127.0.0.1').resume().on('close', () => process.exit(0)))`
    await script('0')
    const before = discards('address')
    expect((await script(converse)).exitCode).toBe(0)
    expect((await script('0')).exitCode).toBe(0)
    expect(discards('address')).toEqual(oneMore(before))
  })

  it.each([
    ['failed to start', [], { argv: ['/nonexistent/tool'] }],
    ['ran out of time', ['sleep', '60000'], { deadlineMs: 50 }],
    ['wrote too much', ['flood'], {}],
  ] as const)('is given up when its run %s', async (_, words, changes) => {
    const before = discards('run')
    expect((await bench.run(words, changes)).stop).not.toBe('exit')
    expect(discards('run')).toEqual(oneMore(before))
  })

  it('is given up when its run was cancelled', async () => {
    const run = bench.driver.run(bench.spec(['sleep', '60000']), () => {})
    await run.started
    const before = bench.driver.counts()
    run.kill('cancelled')
    expect((await run.finished).stop).toBe('cancelled')
    expect(bench.driver.counts().discarded).toBe(before.discarded + 1)
  })

  it('hears nothing that is said to an earlier run', async () => {
    const first = bench.driver.run(bench.spec(['fail', '0']), () => {})
    await first.finished
    const second = bench.driver.run(bench.spec(['sleep', '100'], { deadlineMs: 5_000 }), () => {})
    await second.started
    first.kill('cancelled')
    first.extend(90_000)
    expect(await second.finished).toMatchObject({ stop: 'exit', exitCode: 0 })
  })

  it('serves runs of one tool in one workspace, one at a time', async () => {
    await bench.run(['fail', '0'])
    const before = bench.driver.counts().made
    const runs = [1, 2].map(() => bench.driver.run(bench.spec(['sleep', '200']), () => {}))
    await Promise.all(runs.map((run) => run.started))
    expect(bench.driver.counts().made).toBe(before + 1)
    await Promise.all(runs.map((run) => run.finished))
    await bench.run(['fail', '0'], { manifestHash: 'another' })
    expect(bench.driver.counts().made).toBe(before + 2)
  })

  it('keeps a tool’s input apart from its output, and both whole, run after run', async () => {
    const echo = 'process.stdin.pipe(process.stdout)'
    const limits = { ...ROOMY, outputBytes: 8 * MEBIBYTE }
    for (const letter of ['a', 'b']) {
      const stdin = Buffer.alloc(3 * MEBIBYTE, letter)
      expect((await script(echo, { stdin, limits })).output.equals(stdin)).toBe(true)
    }
  })

  it('is gone with everything in it when its session ends', async () => {
    await bench.run(['fail', '0'])
    expect(bench.driver.counts().idle).toBeGreaterThan(0)
    await bench.driver.release(bench.workspaceDir)
    expect(bench.driver.counts().idle).toBe(0)
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(join(bench.workspaceDir, '/'))
  })
})
