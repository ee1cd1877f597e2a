import { OrienError } from '@orien/protocol'
import pc from 'picocolors'
import { describe, expect, test } from 'vitest'
import { describeFailure, failureLines, isWrongUse } from './failure.ts'
import { createLineCutter } from './lines.ts'
import { createTerminal, printable, type Sink, toJson } from './terminal.ts'
import { wrongUse } from './wrongUse.ts'

/** Both streams in the order in which they were written, as a screen would get them. */
function screen(isTTY: boolean) {
  const written: string[] = []
  const sink: Sink = { isTTY, columns: 20, write: (data) => written.push(String(data)) }
  return { streams: { stdout: sink, stderr: sink }, written }
}

describe('a terminal', () => {
  test('replaces its status line, and keeps it below everything else', () => {
    const { streams, written } = screen(true)
    const terminal = createTerminal(streams, { colours: 'never' }, false)
    terminal.status('1 s')
    terminal.say('log')
    terminal.status('2 s')
    terminal.status(null)
    terminal.print('done')
    const clear = '\r\u001b[K'
    expect(written.join('')).toBe(`1 s${clear}log\n1 s${clear}2 s${clear}done\n`)
  })

  test('cuts a status line that would wrap', () => {
    const { streams, written } = screen(true)
    createTerminal(streams, { colours: 'never' }, false).status('0123456789012345678901234')
    expect(written).toEqual(['0123456789012345678'])
  })

  test('writes plain lines where nothing can be replaced', () => {
    const { streams, written } = screen(false)
    const terminal = createTerminal(streams, { colours: 'auto' }, false)
    terminal.status('1 s')
    terminal.status(null)
    terminal.say(terminal.err.red('plain'))
    expect(written.join('')).toBe('1 s\nplain\n')
  })

  test('has colours only where they are shown or asked for', () => {
    const colours = (isTTY: boolean, wanted: 'auto' | 'never' | 'always') =>
      createTerminal(screen(isTTY).streams, { colours: wanted }, false).out.red('x') !== 'x'
    expect([colours(true, 'auto'), colours(false, 'auto')]).toEqual([true, false])
    expect([colours(true, 'never'), colours(false, 'always')]).toEqual([false, true])
  })
})

test('amounts in results are decimal strings', () => {
  expect(toJson({ costMicros: 12n, list: [1n] })).toBe('{"costMicros":"12","list":["1"]}')
})

test('text of others cannot steer the terminal', () => {
  expect(printable('a\u001b[31mred\u0007\r\n\u009b2J\u202etxt\tb é')).toBe('a[31mred2Jtxt\tb é')
})

describe('output in pieces', () => {
  const cut = (...pieces: string[]) => {
    const lines: string[] = []
    const cutter = createLineCutter((line) => lines.push(line))
    for (const piece of pieces) cutter.push(piece)
    cutter.end()
    return lines
  }

  test('becomes whole lines, however it was cut', () => {
    expect(cut('on', 'e\ntwo\nth', 'ree')).toEqual(['one', 'two', 'three'])
    expect(cut('\n\n')).toEqual(['', ''])
  })

  test('cannot fill the memory with a line that never ends', () => {
    const lines = cut('x'.repeat(5_000), 'y'.repeat(5_000))
    expect(Math.max(...lines.map((line) => line.length))).toBe(2_000)
  })
})

describe('a failure', () => {
  const plain = pc.createColors(false)

  test('is told by its code, one sentence and what to do next', async () => {
    const failure = await describeFailure(new OrienError('provider_offline', 'nobody is there'))
    expect(failureLines(failure, plain)).toEqual([
      'provider_offline: nobody is there',
      'Choose another provider or try again later.',
    ])
  })

  test('names every field that is wrong, and its own hint before the general one', async () => {
    const error = wrongUse('These are not arguments', 'Arguments: a', [
      { path: 'args.b', message: 'is required' },
    ])
    expect(failureLines(await describeFailure(error), plain)).toEqual([
      'validation_failed: These are not arguments',
      '  args.b is required',
      'Arguments: a',
    ])
  })

  test('of ours shows no stack', async () => {
    const failure = await describeFailure(new TypeError('x is undefined'))
    expect(failureLines(failure, plain)).toEqual([
      'internal_error: x is undefined',
      'Set ORIEN_DEBUG=1 to see where.',
    ])
  })

  test('is wrong use only when the command line is to blame', () => {
    expect(isWrongUse(wrongUse('no'))).toBe(true)
    expect(isWrongUse(new OrienError('validation_failed', 'said the coordinator'))).toBe(false)
    expect(isWrongUse(new TypeError('x'))).toBe(false)
  })
})
