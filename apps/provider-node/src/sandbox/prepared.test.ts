import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Bench, openBench } from './testing/bench.ts'

let bench: Bench
beforeAll(async () => {
  bench = await openBench({ mode: 'resident' })
})
afterAll(() => bench.close())

type Line = { state: string; parent: number; name: string }

function readLine(pid: string): [number, Line][] {
  try {
    const [, name, state, parent] =
      /\((.*)\) (\S) (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? []
    return name && state ? [[Number(pid), { name, state, parent: Number(parent) }]] : []
  } catch {
    return []
  }
}

/** States of the helpers below this process, and of what each has prepared; `S` sleeps, `D` counts as load. */
function helperStates(): string[] {
  const all = new Map(
    readdirSync('/proc')
      .filter((name) => Number(name) > 0)
      .flatMap(readLine),
  )
  const isOurs = (pid: number): boolean =>
    pid === process.pid || (pid > 1 && isOurs(all.get(pid)?.parent ?? 0))
  return [...all].flatMap(([pid, { name, state }]) => (name === 'orien-init' && isOurs(pid) ? [state] : []))
}

const untilIdle = () => vi.waitFor(() => expect(bench.driver.counts().idle).toBe(1))
const script = (code: string) => bench.run([], { argv: [process.execPath, '-e', code] })

describe('a sandbox whose next tool is prepared', () => {
  it('is no load of the machine while it waits', async () => {
    await bench.run(['fail', '0'])
    await untilIdle()
    expect(helperStates()).toEqual(['S', 'S'])
  })

  it('ends with what is prepared in it when nobody needs it any more', async () => {
    await bench.run(['fail', '0'])
    await untilIdle()
    await bench.driver.release(bench.workspaceDir)
    expect(helperStates()).toEqual([])
  })

  it('counts nothing that the node says to it as read by the tool', async () => {
    const readBytes = async (letters: number) =>
      (await bench.run(['fail', '0'], { env: { LONG: 'x'.repeat(letters) } })).io?.readBytes
    await readBytes(1)
    expect(await readBytes(50_000)).toBe(await readBytes(1))
  })

  it('hands nothing on by the input that a tool did not have', async () => {
    const leave = `require('fs').writeFileSync('/proc/self/fd/0', 'left')`
    const look = `process.stdin.on('data', (piece) => process.stdout.write(piece))`
    expect(await script(leave)).toMatchObject({ stop: 'exit' })
    const { output, exitCode } = await script(look)
    expect({ said: output.toString(), exitCode }).toEqual({ said: '', exitCode: 0 })
  })

  it('gives each tool all of its input, also after one that had none', async () => {
    const echo = `process.stdin.pipe(process.stdout)`
    const argv = [process.execPath, '-e', echo]
    for (const stdin of [Buffer.from('first'), undefined, Buffer.from('third')]) {
      const { output } = await bench.run([], { argv, ...(stdin ? { stdin } : {}) })
      expect(output.toString()).toBe(stdin?.toString() ?? '')
    }
  })

  it('tells the tool’s whole output when the tool is over before anybody has read it', async () => {
    for (let run = 0; run < 5; run++) {
      const { output } = await script(`process.stdout.write('o'.repeat(60_000)); process.stderr.write('e')`)
      expect(output.length).toBe(60_001)
    }
  })

  it('is given up when it cannot start its tool, and the reason is told', async () => {
    await bench.run(['fail', '0'])
    const facts = await bench.run([], { argv: ['/usr/bin/no-such-tool'] })
    expect(facts).toMatchObject({ stop: 'sandbox_error', effectiveMicros: 0 })
    expect(facts.detail).toContain('not there')
  })
})
