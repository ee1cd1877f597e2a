import { expect, test } from 'vitest'
import { rules } from './rules/index.ts'
import { readRepository } from './tree.ts'

const files = readRepository()

test('the walk over the repository finds its files', () => {
  const paths = files.map((file) => file.path)
  expect(paths).toContain('package.json')
  expect(paths).toContain('packages/protocol/src/index.ts')
  expect(paths).toContain('.ci/run')
})

test.each(rules)('$name: $why', (rule) => {
  const findings = files
    .filter((file) => rule.appliesTo(file.path))
    .flatMap((file) => rule.check(file).map(({ line, message }) => `${file.path}:${line} ${message}`))
  expect(findings).toEqual([])
})
