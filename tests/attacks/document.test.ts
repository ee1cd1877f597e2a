import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ATTACKS } from './table.ts'

const text = readFileSync(new URL('../../docs/sandbox.md', import.meta.url), 'utf8')

it('the document names every boundary with its attack and with what stops it', () => {
  const rows = Object.values(ATTACKS)
    .flat()
    .map(({ program, boundary, stoppedBy }) => {
      const alternatives = stoppedBy.map((names) => names.map((name) => `\`${name}\``).join(' or '))
      return `| ${boundary} | \`${program}\` | ${alternatives.join('; and ')} |`
    })
  expect(rows.filter((row) => !text.includes(row))).toEqual([])
  expect(text.match(/^\| .* \| `[a-z0-9-]+(\.py|\.mjs)?` \| `.*` \|$/gm)).toHaveLength(rows.length)
})
