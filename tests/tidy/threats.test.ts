import { expect, test } from 'vitest'
import { readRepository } from './tree.ts'

const files = new Map(readRepository().map((file) => [file.path, file.text]))

/** The rows of all tables: what is attacked, and the test beside it. */
const rows = (files.get('docs/threat-model.md') ?? '')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| attack'))
  .map((line) => {
    const cells = line.split('|').map((cell) => cell.trim())
    const [, path = '', title = ''] = /^`([^`]+)` › (.+)$/.exec(cells[4] ?? '') ?? []
    return { attack: cells[1] ?? '', bound: cells[2] ?? '', path, title }
  })

test('every line of the threat model says what is lost at most and names a test that exists', () => {
  expect(rows.length).toBeGreaterThan(40)
  const untested = rows.filter(({ bound, path, title }) => {
    return bound === '' || title === '' || !files.get(path)?.includes(title)
  })
  expect(untested).toEqual([])
})
