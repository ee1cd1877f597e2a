import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Bench, ROOMY } from '../testing/bench.ts'
import { lend, type Subject } from './subject.contract.ts'

const MEBIBYTE = 1_048_576

/** What goes into a tool and what comes out of it. */
export function describeStreams(subject: Subject): void {
  describeOutput(subject)
  describeBackPressure(subject)
  describeInput(subject)
}

/** A program for Node, run as a tool. */
const node = (bench: Bench, code: string, changes = {}) =>
  bench.run([], { argv: [process.execPath, '-e', code], ...changes })

/** Resolves when no process of the canary is left; the test's own time limit bounds it. */
async function expectDead(bench: Bench): Promise<void> {
  while ((await bench.alive()).length > 0) await new Promise((resolve) => setImmediate(resolve))
}

function describeOutput(subject: Subject): void {
  describe('output', () => {
    const bench = lend(subject)

    it('comes through byte for byte, and its hash is over what was delivered in that order', async () => {
      const facts = await node(
        bench(),
        `const { writeSync } = require('fs')
      const all = Buffer.from(Array.from({ length: 256 * 700 }, (_, i) => i & 255))
      for (let at = 0; at < all.length;) at += writeSync(1, all, at, Math.min(10_007, all.length - at))`,
      )
      const expected = Buffer.from(Array.from({ length: 256 * 700 }, (_, i) => i & 255))
      expect(facts.output.equals(expected)).toBe(true)
      expect(facts.outputSha256).toBe(createHash('sha256').update(expected).digest('hex'))
      expect(facts.outputBytes).toBe(expected.length)
    })

    it('keeps a character whose bytes are written one at a time', async () => {
      const facts = await node(
        bench(),
        `const { writeSync } = require('fs')
      for (const byte of Buffer.from('…🧊ß')) writeSync(1, Buffer.from([byte]))`,
      )
      expect(facts.output.toString('utf8')).toBe('…🧊ß')
    })

    it('keeps stdout and stderr apart', async () => {
      const facts = await node(
        bench(),
        `const { writeSync } = require('fs'); writeSync(1, 'out'); writeSync(2, 'err')`,
      )
      const text = (name: string) =>
        Buffer.concat(
          facts.chunks.filter(({ stream }) => stream === name).map(({ bytes }) => bytes),
        ).toString()
      expect(text('stdout')).toBe('out')
      expect(text('stderr')).toBe('err')
    })

    it('written just before the end is not lost', async () => {
      for (const facts of await Promise.all([1, 2, 3].map(() => bench().run(['try', 'write=/']))))
        expect(facts.output.toString()).toBe('write=/ contained\n')
    })
  })
}

function describeBackPressure(subject: Subject): void {
  describe('output that nobody takes', () => {
    const bench = lend(subject)

    it('is held back in the tool, not in the node', async () => {
      const gate = Promise.withResolvers<void>()
      const first = Promise.withResolvers<void>()
      let delivered = 0
      const limits = { ...ROOMY, outputBytes: 64 * MEBIBYTE }
      const run = bench().driver.run(
        bench().spec(['flood'], { limits, deadlineMs: 400 }),
        async ({ bytes }) => {
          delivered += bytes.length
          first.resolve()
          await gate.promise
        },
      )
      await first.promise
      const atFirst = delivered
      // The tool is dead at its deadline whether or not anybody took its output.
      await expectDead(bench())
      expect(delivered).toBe(atFirst)
      gate.resolve()
      const facts = await run.finished
      expect(facts).toMatchObject({ stop: 'deadline', effectiveMicros: 400_000 })
      expect(facts.outputBytes).toBeLessThan(2 * MEBIBYTE)
    })

    it('because the node cannot, ends the run as a fault of the sandbox', async () => {
      const run = bench().driver.run(bench().spec(['flood']), () => Promise.reject(new Error('disk full')))
      expect(await run.finished).toMatchObject({ stop: 'sandbox_error', effectiveMicros: 0 })
      await expectDead(bench())
    })
  })
}

function describeInput(subject: Subject): void {
  describe('input', () => {
    const bench = lend(subject)

    it('reaches the tool whole, and its end is seen', async () => {
      const stdin = Buffer.alloc(3 * MEBIBYTE, 'orien ')
      const facts = await node(
        bench(),
        `const hash = require('crypto').createHash('sha256'); process.stdin.on('data', (b) => hash.update(b)).on('end', () => console.log(hash.digest('hex')))`,
        { stdin },
      )
      expect(facts.output.toString().trim()).toBe(createHash('sha256').update(stdin).digest('hex'))
    })

    it('that the tool does not read stops nothing, not even a cancel', async () => {
      const run = bench().driver.run(
        bench().spec(['sleep', '60000'], { stdin: Buffer.alloc(4 * MEBIBYTE) }),
        () => {},
      )
      await run.started
      run.kill('cancelled')
      expect((await run.finished).stop).toBe('cancelled')
    })

    it('that is not given is empty', async () => {
      expect(
        (await node(bench(), `process.stdin.resume().on('end', () => console.log('end'))`)).output.toString(),
      ).toBe('end\n')
    })
  })
}
