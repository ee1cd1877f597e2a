import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { repository } from './tree.ts'

const folder = mkdtempSync(join(tmpdir(), 'orien-style-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function lint(text: string): string[] {
  const file = join(folder, 'text.ts')
  writeFileSync(file, text)
  const config = join(repository, 'biome.json')
  const args = ['lint', `--config-path=${config}`, '--vcs-enabled=false', '--reporter=json', file]
  const report = spawnSync(join(repository, 'node_modules/.bin/biome'), args, {
    cwd: folder,
    encoding: 'utf8',
  })
  const { diagnostics } = JSON.parse(report.stdout) as {
    diagnostics: { category: string; severity: string }[]
  }
  return diagnostics.filter((each) => each.severity === 'error').map((each) => each.category)
}

test.each([
  ['export const a: any = 1\n', 'lint/suspicious/noExplicitAny'],
  ['export const a = JSON.parse("1") as any\n', 'lint/suspicious/noExplicitAny'],
  ['export const a = (b: string[]) => b[0]!.length\n', 'lint/style/noNonNullAssertion'],
  ['export enum A {\n  B,\n}\n', 'lint/style/noEnum'],
  ["import { A } from './a.ts'\nexport type B = A\n", 'lint/style/useImportType'],
])('the linter refuses %j', (text, rule) => {
  expect(lint(text)).toContain(rule)
})

test('the linter accepts what is right', () => {
  expect(lint('export const a = (b: string[]) => b[0]?.length\n')).toEqual([])
})
