import { OrienError } from '@orien/protocol'
import { expect, test } from 'vitest'
import { tellDatabase } from './tellDatabase.ts'

function listen() {
  const lines: string[] = []
  const tell = tellDatabase({
    part: (name, what) => lines.push(`${name}: ${what}`),
    warn: (line) => lines.push(line),
  })
  return { tell, lines }
}
const failed = (error: unknown) => ({ event: 'postgres.restart_failed', error, nextAttemptMs: 1 }) as const
const died = { event: 'postgres.died', pid: 1, exitCode: null, signal: 'SIGKILL' } as const

test('a database that dies and comes back is told, with its signal', () => {
  const { tell, lines } = listen()
  tell(died)
  tell({ event: 'postgres.restarted', pid: 2, restarts: 1 })
  expect(lines).toEqual(['the database has ended (SIGKILL) and is started again', 'database: back again'])
})

test('why it does not start is told once until it is back, with what to do', () => {
  const { tell, lines } = listen()
  const full = new OrienError('setup_failed', 'The disk is full', { hint: 'Make room.' })
  for (const error of [full, full, full]) tell(failed(error))
  expect(lines).toEqual(['the database does not start: The disk is full (Make room.); it is tried again'])
  tell({ event: 'postgres.restarted', pid: 2, restarts: 1 })
  tell(failed(new TypeError('secret')))
  expect(lines.at(-1)).toBe('the database does not start: the reason is in its log; it is tried again')
})

test('that it stays down is told', () => {
  const { tell, lines } = listen()
  tell({ event: 'postgres.gave_up', error: new OrienError('setup_failed', 'It died ten times in a row') })
  expect(lines).toEqual(['the database stays down: It died ten times in a row'])
})
