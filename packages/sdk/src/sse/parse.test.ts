import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSse, type SseMessage } from './parse.ts'

async function* piecesOf(bytes: Uint8Array, cuts: readonly number[]) {
  const sorted = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  let from = 0
  for (const to of [...sorted, bytes.length]) {
    yield bytes.subarray(from, to)
    from = to
  }
}

async function parse(text: string, cuts: readonly number[] = []): Promise<SseMessage[]> {
  const messages: SseMessage[] = []
  for await (const message of parseSse(piecesOf(new TextEncoder().encode(text), cuts))) messages.push(message)
  return messages
}

const message = (data: string, event = 'message', id?: string): SseMessage => ({ id, event, data })

describe('server-sent events', () => {
  it.each([
    ['a plain message', 'data: a\n\n', [message('a')]],
    ['a named one with an id', 'id: 7\nevent: log\ndata: a\n\n', [message('a', 'log', '7')]],
    ['data of several lines', 'data: a\ndata:\ndata: b\n\n', [message('a\n\nb')]],
    ['one leading space that is dropped, not two', 'data:  a\n\n', [message(' a')]],
    ['no space after the colon', 'data:a\n\n', [message('a')]],
    ['a colon in the data', 'data: a:b\n\n', [message('a:b')]],
    ['a comment to keep the line alive', ': alive\n\ndata: a\n\n', [message('a')]],
    ['an unknown field', 'color: red\ndata: a\n\n', [message('a')]],
    ['a field without a colon', 'data\n\n', [message('')]],
    ['an event without data, which is none', 'event: x\nid: 1\n\ndata: a\n\n', [message('a')]],
    ['an id with NUL, which is ignored', 'id: a\0b\ndata: a\n\n', [message('a')]],
    ['an end in the middle of a message, which is dropped', 'data: a\n\ndata: b\n', [message('a')]],
    ['lines that end in CR', 'data: a\r\rdata: b\r\r', [message('a')]],
    ['lines that end in CRLF', 'id: 1\r\ndata: a\r\n\r\n', [message('a', 'message', '1')]],
    ['a byte order mark', '\uFEFFdata: a\n\n', [message('a')]],
    ['nothing', '', []],
  ])('are read with %s', async (_, text, expected) => {
    const messages = await parse(text)
    expect(messages.slice(0, expected.length)).toEqual(expected)
    expect(messages.length).toBeLessThanOrEqual(expected.length + 1)
  })

  it('mean the same however their bytes are cut: inside a character, a line end or a field', async () => {
    const text =
      ': hello\r\n\r\nid: 1\r\nevent: log\r\ndata: naïve ✓ 😀\r\ndata: zwei\r\n\r\nid: 2\ndata: {"a":1}\n\n'
    const whole = await parse(text)
    expect(whole).toEqual([message('naïve ✓ 😀\nzwei', 'log', '1'), message('{"a":1}', 'message', '2')])
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 20 }), async (cuts) => {
        expect(await parse(text, cuts)).toEqual(whole)
      }),
      { numRuns: 300 },
    )
    expect(await parse(text, [...Array(text.length * 2).keys()])).toEqual(whole)
  })

  it('that were written are read back, whatever their data', async () => {
    const line = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n\0]/.test(text))
    const event = fc.record({ id: line, lines: fc.array(line, { minLength: 1, maxLength: 3 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 9 }),
        async (events, cuts) => {
          const text = events
            .map(({ id, lines }) => `id: ${id}\n${lines.map((one) => `data: ${one}\n`).join('')}\n`)
            .join('')
          const expected = events.map(({ id, lines }) => message(lines.join('\n'), 'message', id))
          expect(await parse(text, cuts)).toEqual(expected)
        },
      ),
    )
  })

  it('of any bytes are read, never thrown on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        for await (const { data } of parseSse(piecesOf(bytes, [7, 50]))) expect(data).toBeTypeOf('string')
      }),
    )
  })

  it('with a line that never ends are given up before they fill the memory', async () => {
    async function* endless() {
      const piece = new Uint8Array(1_048_576).fill(0x61)
      for (;;) yield piece
    }
    const read = async () => {
      for await (const _ of parseSse(endless()));
    }
    await expect(read()).rejects.toMatchObject({ code: 'unreadable' })
  })
})
