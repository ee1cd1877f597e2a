import { describe, expect, it } from 'vitest'
import { ROOMY } from '../testing/bench.ts'
import { lend, type Subject } from './subject.contract.ts'

const MEBIBYTE = 1_048_576
const CPU_TOLERANCE_MICROS = 10_000

/** 10 ms or 2 %, whichever is more. */
const expectCpu = (cpuMicros: number, burntMs: number) => {
  expect(cpuMicros).toBeGreaterThanOrEqual(burntMs * 1_000)
  expect(cpuMicros - burntMs * 1_000).toBeLessThanOrEqual(Math.max(CPU_TOLERANCE_MICROS, burntMs * 20))
}

/** Reading a program's headers is a read of it, and a few messages between processes are in it. */
const MOVED_TOLERANCE_BYTES = 4_096

const expectMoved = (bytes: number | undefined, megabytes: number) => {
  expect(bytes).toBeGreaterThanOrEqual(megabytes * MEBIBYTE)
  expect(bytes).toBeLessThan(megabytes * MEBIBYTE + MOVED_TOLERANCE_BYTES)
}

/** What a driver has to show before it may hold a stranger's work: walls, limits, and a meter that misses nothing. */
export function describeConfinement(subject: Subject): void {
  describeLimits(subject)
  describeEnds(subject)
  describeMeter(subject)
  describeWalls(subject)
}

function describeLimits(subject: Subject): void {
  describe('limits that the tool cannot leave', () => {
    const bench = lend(subject)

    it('a tool that wants more memory than its limit runs out of memory', async () => {
      const limits = { ...ROOMY, memoryBytes: 32 * MEBIBYTE }
      const facts = await bench().run(['memory', '256'], { limits })
      expect(facts).toMatchObject({ stop: 'out_of_memory', signal: 'SIGKILL' })
      expect(facts.maxRssBytes).toBeLessThanOrEqual(32 * MEBIBYTE)
    })

    it('a tool that writes a larger file than it may hits the disk limit', async () => {
      const limits = { ...ROOMY, diskBytes: 8 * MEBIBYTE }
      expect(await bench().run(['fill', '/workspace/big', '64'], { limits })).toMatchObject({
        stop: 'disk_limit',
      })
    })

    it('a tool that fills /tmp hits the disk limit', async () => {
      const limits = { ...ROOMY, diskBytes: 8 * MEBIBYTE }
      const facts = await bench().run(['fill', '/tmp/a', '6', '/tmp/b', '6'], { limits })
      expect(facts).toMatchObject({ stop: 'disk_limit', exitCode: 3 })
    })

    it('a fork bomb stops at the process limit and leaves the node alone', async () => {
      expect(await bench().run(['forks', '17'], { limits: { ...ROOMY, processes: 16 } })).toMatchObject({
        stop: 'exit',
        exitCode: 0,
      })
    })

    it('memory is limited for the tree, not for each process', async () => {
      const limits = { ...ROOMY, memoryBytes: 48 * MEBIBYTE }
      const facts = await bench().run(['crowd', '4', '24'], { limits })
      expect(facts.stop).toBe('out_of_memory')
      expect(facts.maxRssBytes).toBeLessThanOrEqual(48 * MEBIBYTE)
    })
  })
}

function describeEnds(subject: Subject): void {
  describe('nothing outlives its run', () => {
    const bench = lend(subject)

    it('twenty daemons that double-forked and ignore every signal die with the tool’s deadline', async () => {
      const facts = await bench().run(['daemons', '20', '0', '60000'], { deadlineMs: 300 })
      expect(facts).toMatchObject({ stop: 'deadline', effectiveMicros: 300_000 })
      expect(facts.output.length).toBe(20)
      expect(await bench().alive()).toEqual([])
    })

    it('daemons that outlive the tool and hold its output open die with the tool', async () => {
      const facts = await bench().run(['daemons', '20', '0'])
      expect(facts).toMatchObject({ stop: 'exit', exitCode: 0 })
      expect(facts.effectiveMicros).toBeLessThan(10_000_000)
      expect(await bench().alive()).toEqual([])
    })
  })
}

function describeMeter(subject: Subject): void {
  describe('the meter', () => {
    const bench = lend(subject)

    it.each([
      ['100 ms in one process', ['burn', '100'], 100],
      ['4 × 100 ms in children at once', ['children', '4', '100'], 400],
      ['20 × 5 ms in short-lived children', ['children', '20', '5'], 100],
      ['3 × 80 ms in orphans that nobody waits for', ['orphans', '3', '80'], 240],
    ])('counts the processor time of the whole tree: %s', async (_, words, burntMs) => {
      const facts = await bench().run(words)
      expect(facts).toMatchObject({ stop: 'exit', exitCode: 0 })
      expectCpu(facts.cpuMicros, burntMs)
    })

    it.each([
      ['4 MiB in one process', ['move', '4'], 4],
      ['3 × 2 MiB in children', ['move-in-children', '3', '2'], 6],
      ['3 × 2 MiB in orphans that nobody waits for', ['move-in-orphans', '3', '2'], 6],
    ])('counts what the whole tree read and wrote: %s', async (_, words, megabytes) => {
      const { io } = await bench().run(words)
      expectMoved(io?.readBytes, megabytes)
      expectMoved(io?.writtenBytes, megabytes)
    })

    it('counts a file of the workspace byte by byte, and none that was only made or mapped', async () => {
      const { io } = await bench().run(['fill', '/workspace/two', '2'])
      expect(io?.writtenBytes).toBe(2 * MEBIBYTE)
      const nothing = await bench().run(['fill', '/workspace/empty', '0'])
      expect(nothing.io?.writtenBytes).toBe(0)
      expectMoved(nothing.io?.readBytes, 0)
    })

    it('counts what threads read', async () => {
      const code = (name: string) => `require('fs').promises.readFile('/workspace/${name}')`
      await bench().run(['fill', '/workspace/four', '4', '/workspace/none', '0'])
      const readBytesOf = async (name: string) =>
        (await bench().run([], { argv: [process.execPath, '-e', code(name)] })).io?.readBytes ?? 0
      const more = (await readBytesOf('four')) - (await readBytesOf('none'))
      expect(Math.abs(more - 4 * MEBIBYTE)).toBeLessThan(MOVED_TOLERANCE_BYTES)
    })

    it('counts the tool’s input and output, and nothing of what carries them', async () => {
      const stdin = Buffer.alloc(MEBIBYTE / 2, 'x')
      const argv = [process.execPath, '-e', 'process.stdin.pipe(process.stdout)']
      const echoed = await bench().run([], { argv, stdin })
      const idle = await bench().run([], { argv })
      expect(echoed.output.length).toBe(stdin.length)
      for (const side of ['readBytes', 'writtenBytes'] as const) {
        const more = (echoed.io?.[side] ?? 0) - (idle.io?.[side] ?? 0)
        expect(Math.abs(more - stdin.length), side).toBeLessThan(MOVED_TOLERANCE_BYTES)
      }
    })

    it('counts time that a tool sleeps, but no processor time for it', async () => {
      const facts = await bench().run(['sleep', '200'])
      expect(facts.effectiveMicros).toBeGreaterThanOrEqual(200_000)
      expect(facts.cpuMicros).toBeLessThan(CPU_TOLERANCE_MICROS)
    })

    it('counts from exec, not from the start of the sandbox', async () => {
      const before = performance.now()
      const facts = await bench().run(['sleep', '0'])
      expect(facts.effectiveMicros).toBeGreaterThan(0)
      expect(facts.effectiveMicros / 1_000).toBeLessThan(performance.now() - before)
    })

    it('sees the memory of a process that touches 64 MiB', async () => {
      const facts = await bench().run(['memory', '64'])
      // The kernel counts resident pages in per-processor batches, so the figure may lag by some of them.
      expect(facts.maxRssBytes).toBeGreaterThan(63 * MEBIBYTE)
      expect(facts.maxRssBytes).toBeLessThan(66 * MEBIBYTE)
    })
  })
}

function describeWalls(subject: Subject): void {
  describe('walls', () => {
    const bench = lend(subject)

    it('input can be opened by name, as a pipe can', async () => {
      const code = `process.stdout.write(require('fs').readFileSync('/dev/stdin'))`
      const stdin = Buffer.from('by name')
      const facts = await bench().run([], { argv: [process.execPath, '-e', code], stdin })
      expect(facts.output.toString()).toBe('by name')
    })

    it('a tool has no descriptor but its three', async () => {
      expect((await bench().run(['try', 'descriptors'])).output.toString()).toBe('descriptors contained\n')
    })

    it('a tool has no network, no environment of the node and no capability', async () => {
      const code = `const fs = require('fs')
        const status = fs.readFileSync('/proc/self/status', 'utf8')
        console.log(JSON.stringify([fs.readFileSync('/proc/net/dev', 'utf8').match(/^ *\\w+:/gm),
          Object.keys(process.env).filter((n) => n.startsWith('ORIEN')), /CapEff:\\t0+\\n/.test(status), /NoNewPrivs:\\t1/.test(status)]))`
      const facts = await bench().run([], { argv: [process.execPath, '-e', code] })
      expect(JSON.parse(facts.output.toString())).toEqual([['    lo:'], [], true, true])
    })
  })
}
