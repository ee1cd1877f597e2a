import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { invariant } from '@orien/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { createTestClock } from '../testing/clock.ts'
import { createBubblewrapDriver } from './bubblewrap.ts'
import type { SlotCgroup } from './cgroup.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { type Bench, openBench } from './testing/bench.ts'

let bench: Bench
afterEach(() => bench.close())

const untilIdle = async (wanted: number) => {
  while (bench.driver.counts().idle !== wanted) await new Promise((resolve) => setImmediate(resolve))
}

const runAtOnce = (count: number) =>
  Promise.all(Array.from({ length: count }, () => bench.run(['sleep', '50'])))

/** Processes that execute a file below a directory. */
async function processesOf(dir: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => Number(name) > 0)) {
    const program = await readlink(join('/proc', pid, 'exe')).catch(() => '')
    if (program.startsWith(dir)) found.push(pid)
  }
  return found
}

describe('warm sandboxes', () => {
  it('are fresh ones: no run is where another has been', async () => {
    bench = await openBench({ mode: 'warm' })
    const pids = `console.log(process.pid, require('fs').readdirSync('/tmp').filter((name) => name === 'left').length); require('fs').writeFileSync('/tmp/left', '')`
    for (let round = 0; round < 3; round += 1) {
      const { output } = await bench.run([], { argv: [process.execPath, '-e', pids] })
      expect(output.toString()).toBe('2 0\n')
    }
    expect(bench.driver.counts().reused).toBe(0)
  })

  it('are as many as were in use at once, and wait for the next runs', async () => {
    bench = await openBench({ mode: 'warm' })
    await runAtOnce(3)
    await untilIdle(3)
    const { made } = bench.driver.counts()
    const run = bench.driver.run(bench.spec(['sleep', '0']), () => {})
    await run.started
    expect(bench.driver.counts().made).toBe(made)
    await run.finished
  })

  it('are bounded in number for one tool', async () => {
    bench = await openBench({ mode: 'warm' })
    await runAtOnce(SANDBOX_LIMITS.idleSlotsPerTool + 3)
    await untilIdle(SANDBOX_LIMITS.idleSlotsPerTool)
  })

  it('end when nobody has wanted them for too long', async () => {
    const clock = createTestClock()
    bench = await openBench({ mode: 'warm', clock })
    await runAtOnce(2)
    await untilIdle(2)
    await clock.advance(SANDBOX_LIMITS.idleSlotMs - 1)
    expect(bench.driver.counts().idle).toBe(2)
    await clock.advance(1)
    expect(bench.driver.counts().idle).toBe(0)
  })

  it('of one workspace end with it, those of others stay', async () => {
    bench = await openBench({ mode: 'warm' })
    const other = join(bench.workspaceDir, '..', 'other')
    await mkdir(other)
    await bench.run(['fail', '0'])
    await bench.run(['fail', '0'], { workspaceDir: other })
    await untilIdle(2)
    await bench.driver.release(other)
    expect(bench.driver.counts().idle).toBe(1)
  })

  it('that die while they wait are not given to a run', async () => {
    bench = await openBench({ mode: 'warm' })
    await bench.run(['fail', '0'])
    await untilIdle(1)
    for (const pid of await processesOf(bench.stateDir)) process.kill(Number(pid), 'SIGKILL')
    await untilIdle(0)
    expect(await bench.run(['fail', '4'])).toMatchObject({ stop: 'exit', exitCode: 4 })
  })
})

describe('the process that starts sandboxes', () => {
  it('when it is killed takes the runs with it, costs nobody anything, and is started again', async () => {
    bench = await openBench({ mode: 'resident' })
    const run = bench.driver.run(bench.spec(['daemons', '5', '0', '60000']), () => {})
    await run.started
    const [spawner = ''] = await processesOf(join(bench.stateDir, 'native', 'orien-spawn'))
    process.kill(Number(spawner), 'SIGKILL')
    expect(await run.finished).toMatchObject({ stop: 'sandbox_error', effectiveMicros: 0 })
    expect(await bench.alive()).toEqual([])
    expect(await bench.run(['fail', '4'])).toMatchObject({ stop: 'exit', exitCode: 4 })
  })

  it('starts nothing for anybody but the process that started it', async () => {
    bench = await openBench({ mode: 'warm' })
    await bench.run(['fail', '0'])
    const dir = join(bench.stateDir, 'spawner')
    const [name = ''] = await readdir(dir)
    const code = `require('net').connect(process.argv[1]).on('close', () => console.log('closed')).on('error', () => {}).write(Buffer.alloc(64, 1))`
    const stranger = spawn(process.execPath, ['-e', code, join(dir, name)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [word] = await once(stranger.stdout, 'data')
    expect(String(word)).toBe('closed\n')
    expect((await bench.run(['fail', '4'])).exitCode).toBe(4)
  })

  it('is gone with its driver', async () => {
    bench = await openBench({ mode: 'warm' })
    await bench.run(['fail', '0'])
    await bench.driver.close()
    expect(await processesOf(bench.stateDir)).toEqual([])
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(bench.stateDir)
  })
})

describe('a sandbox that cannot be made ready for another run', () => {
  it('is given up, also when it is the kernel that does not answer', async () => {
    let looks = 0
    const group: SlotCgroup = {
      join: async () => {},
      rebase: () => {
        looks += 1
        invariant(looks !== 2, 'the counters cannot be read')
        return 0
      },
      limit: () => {},
      read: () => ({ cpuMicros: null, peakBytes: null, oomKills: 0 }),
      kill: () => {},
      remove: async () => {},
    }
    const cgroups = { create: () => group, canRebase: true, close: () => {} }
    const make = (stateDir: string) =>
      createBubblewrapDriver({ stateDir, mode: 'resident', weaken: (context) => ({ ...context, cgroups }) })
    bench = await openBench({ make })
    await bench.run(['sleep', '0'])
    await bench.run(['sleep', '0'])
    await untilIdle(1)
    expect(bench.driver.counts()).toMatchObject({ made: 2, reused: 0, discardedFor: { silent: 1 } })
  })
})
