import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lend, type Subject } from './subject.contract.ts'

/** How a driver is used: proved, run, released, closed and used again. */
export function describeLifecycle(subject: Subject): void {
  describeSelfTest(subject)
  describeRun(subject)
  describeDriverItself(subject)
}

function describeSelfTest(subject: Subject): void {
  describe('the self-test', () => {
    const bench = lend(subject)

    it('lets strangers in only where every attack was contained, and says why where it does not', async () => {
      const { driver, isolationClass, servesStrangers, refusal, canaries } = await bench().driver.detect()
      expect(driver).toBe(bench().driver.name)
      expect(servesStrangers).toBe(subject.confines)
      expect(isolationClass === 'none').toBe(!servesStrangers)
      expect(refusal === undefined).toBe(servesStrangers)
      expect(canaries.filter(({ contained }) => !contained)).toEqual([])
      if (servesStrangers) expect(canaries.length).toBeGreaterThan(40)
    })
  })
}

function describeRun(subject: Subject): void {
  describe('a run', () => {
    const bench = lend(subject)

    it('a run that is cancelled before its sandbox stands never starts', async () => {
      const run = bench().driver.run(bench().spec(['sleep', '60000']), () => {})
      run.kill('cancelled')
      expect(await run.finished).toMatchObject({
        stop: 'cancelled',
        effectiveMicros: 0,
        exitCode: null,
        signal: null,
      })
      expect(await bench().alive()).toEqual([])
    })

    it('a run that is cancelled at any moment of its set-up ends as cancelled and leaves nothing', async () => {
      await bench().run(['sleep', '0'])
      for (let turns = 0; turns < 60; turns += 6) {
        const run = bench().driver.run(bench().spec(['sleep', '60000']), () => {})
        for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
        run.kill('cancelled')
        expect((await run.finished).stop).toBe('cancelled')
      }
      expect(await bench().alive()).toEqual([])
    })

    it('finds its workspace as its working directory, and what it writes there is on the host', async () => {
      const code = `require('fs').writeFileSync('made', process.cwd())`
      expect(await bench().run([], { argv: [process.execPath, '-e', code] })).toMatchObject({ exitCode: 0 })
      const cwd = await readFile(join(bench().workspaceDir, 'made'), 'utf8')
      expect(cwd).toBe(subject.confines ? '/workspace' : bench().workspaceDir)
    })

    it('has the environment that it was given, and nothing of the node’s', async () => {
      const facts = await bench().run([], {
        argv: [process.execPath, '-e', 'console.log(JSON.stringify(process.env))'],
        env: { ORIEN_SAMPLE: 'a=b c' },
      })
      expect(JSON.parse(facts.output.toString())).toEqual({ ORIEN_SAMPLE: 'a=b c' })
    })
  })
}

function describeDriverItself(subject: Subject): void {
  describe('a driver', () => {
    const bench = lend(subject)

    it('lets go of a workspace that it never saw', async () => {
      await bench().driver.release(join(bench().workspaceDir, 'never'))
    })

    it('kills what still runs when it is closed', async () => {
      const run = bench().driver.run(bench().spec(['sleep', '60000']), () => {})
      await run.started
      await bench().driver.close()
      expect((await run.finished).stop).toBe('cancelled')
      expect(await bench().alive()).toEqual([])
    })

    it('that was closed counts no sandbox, and works again', async () => {
      await bench().driver.close()
      expect(bench().driver.counts().idle).toBe(0)
      expect((await bench().run(['fail', '3'])).exitCode).toBe(3)
    })
  })
}
