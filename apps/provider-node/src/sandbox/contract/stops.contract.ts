import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ROOMY } from '../testing/bench.ts'
import { lend, type Subject } from './subject.contract.ts'

/** Every way in which a run can end, and what is told of it. */
export function describeStops(subject: Subject): void {
  describeEndings(subject)
  describeCommandLine(subject)
}

function describeEndings(subject: Subject): void {
  describe('each way to end has its own reason', () => {
    const bench = lend(subject)

    it('a tool that returns its own status ended by itself', async () => {
      expect(await bench().run(['fail', '7'])).toMatchObject({ stop: 'exit', exitCode: 7, signal: null })
    })

    it('a tool that dies of a signal ended by itself, and the signal is told', async () => {
      expect(await bench().run(['signal', '11'])).toMatchObject({
        stop: 'exit',
        exitCode: null,
        signal: 'SIGSEGV',
      })
    })

    it('the tool’s time limit stops a sleeper and is not exceeded by a microsecond', async () => {
      const facts = await bench().run(['sleep', '60000'], { limits: { ...ROOMY, timeMs: 150 } })
      expect(facts).toMatchObject({ stop: 'time_limit', signal: 'SIGKILL', effectiveMicros: 150_000 })
    })

    it('the deadline of the grant stops a burner and is not exceeded by a microsecond', async () => {
      const facts = await bench().run(['burn', '60000'], { deadlineMs: 120 })
      expect(facts).toMatchObject({ stop: 'deadline', effectiveMicros: 120_000 })
    })

    it('a deadline that is moved out lets the tool go on', async () => {
      const run = bench().driver.run(bench().spec(['sleep', '300'], { deadlineMs: 200 }), () => {})
      await run.started
      run.extend(60_000)
      const facts = await run.finished
      expect(facts).toMatchObject({ stop: 'exit', exitCode: 0 })
      expect(facts.effectiveMicros).toBeGreaterThan(200_000)
    })

    it('a deadline is never moved in', async () => {
      const run = bench().driver.run(bench().spec(['sleep', '200'], { deadlineMs: 60_000 }), () => {})
      run.extend(1)
      expect(await run.finished).toMatchObject({ stop: 'exit', exitCode: 0 })
    })

    it('a cancelled tool is billed up to the decision, not to its death', async () => {
      const run = bench().driver.run(bench().spec(['daemons', '20', '0', '60000']), () => {})
      await run.started
      const startedNs = process.hrtime.bigint()
      run.kill('cancelled')
      run.kill('deadline')
      const facts = await run.finished
      expect(facts.stop).toBe('cancelled')
      expect(facts.effectiveMicros).toBeLessThanOrEqual(
        Number((process.hrtime.bigint() - startedNs) / 1_000n) + 60_000,
      )
    })

    it('a flood of output is cut at exactly the limit, and the hash is that of what was handed over', async () => {
      const facts = await bench().run(['flood'], { limits: { ...ROOMY, outputBytes: 300_001 } })
      expect(facts).toMatchObject({ stop: 'output_limit', outputBytes: 300_001 })
      expect(facts.output.length).toBe(300_001)
      expect(facts.outputSha256).toBe(createHash('sha256').update(facts.output).digest('hex'))
    })

    it('output of exactly the limit is no reason to stop', async () => {
      const facts = await bench().run(['try', 'read=/nonexistent'], { limits: { ...ROOMY, outputBytes: 28 } })
      expect(facts).toMatchObject({ stop: 'exit', outputBytes: 28 })
      expect(facts.output.toString()).toBe('read=/nonexistent contained\n')
    })

    it('an executable that is not there is a fault of the sandbox and costs nothing', async () => {
      const facts = await bench().run([], { argv: ['/nonexistent/tool'] })
      expect(facts).toMatchObject({ stop: 'sandbox_error', effectiveMicros: 0 })
      expect(facts.detail).toContain('not there')
    })
  })
}

function describeCommandLine(subject: Subject): void {
  describe('a command line', () => {
    const bench = lend(subject)

    it.each([
      ['NUL in an argument', ['try', 'a\0b']],
      ['a lone surrogate', ['try', '\ud800']],
      ['an element over 128 KiB', ['try', 'x'.repeat(131_072)]],
      ['three megabytes of arguments', Array.from({ length: 30 }, () => 'x'.repeat(100_000))],
    ])('%s is refused before anything starts', async (_, words) => {
      expect(await bench().run(words)).toMatchObject({ stop: 'sandbox_error', effectiveMicros: 0 })
    })

    it('text that a shell would act on reaches the tool as it is', async () => {
      const text = 'read=$(id);`id`|&&>x'
      expect((await bench().run(['try', text])).output.toString()).toBe(`${text} contained\n`)
    })
  })
}
