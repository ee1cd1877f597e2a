import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createTerminal } from '../terminal/terminal.ts'
import { logLines } from './logLines.ts'

test('an owner at a terminal reads sentences: no JSON, no stack, nothing that steers the terminal', () => {
  const lines: string[] = []
  const stderr = { isTTY: true, write: (text: string | Uint8Array) => lines.push(String(text)) }
  const log = pino(
    { base: null },
    logLines(createTerminal({ stdout: stderr, stderr }, { colours: 'never' }, false)),
  )
  log.info({ event: 'tools.reloaded', added: ['echo2'], isNewOffer: true })
  log.warn({ event: 'link.lost', host: 'a\u001b[2Jb' })
  log.error({ event: 'tools.unreloaded', err: new TypeError('no such file') })
  expect(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d /, ''))).toEqual([
    'tools.reloaded added=["echo2"] isNewOffer=true\n',
    'link.lost host=a[2Jb\n',
    'tools.unreloaded no such file\n',
  ])
})
