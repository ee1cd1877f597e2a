import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readRepository, repository } from './tree.ts'

const documents = readRepository().filter((file) => file.path.endsWith('.md'))
const root = JSON.parse(readRepository().find((file) => file.path === 'package.json')?.text ?? '{}') as {
  scripts: Record<string, string>
}

/** Relative targets of Markdown links, without their fragment. */
function linksOf(text: string): string[] {
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => (match[1] ?? '').split('#')[0] ?? '')
  return targets.filter((target) => target !== '' && !/^[a-z]+:/.test(target))
}

/** Files and folders of the repository that a text names in code marks; placeholders such as `<name>` are not names. */
function pathsOf(text: string): string[] {
  const marked = [...text.matchAll(/`((?:packages|apps|tests|docs|scripts)\/[\w./-]+)`/g)]
  return marked.map((match) => match[1] ?? '')
}

test('every link between documents leads somewhere', () => {
  const broken = documents.flatMap((file) =>
    linksOf(file.text)
      .filter((target) => !existsSync(join(repository, dirname(file.path), target)))
      .map((target) => `${file.path}: ${target}`),
  )
  expect(broken).toEqual([])
})

test('CONTRIBUTING names files that exist and commands that can be run', () => {
  const text = documents.find((file) => file.path === 'CONTRIBUTING.md')?.text ?? ''
  expect(pathsOf(text).length).toBeGreaterThan(5)
  expect(pathsOf(text).filter((path) => !existsSync(join(repository, path)))).toEqual([])
  const commands = [...text.matchAll(/`npm run (?:--silent )?([\w:-]+)/g)].map((match) => match[1] ?? '')
  expect(commands.filter((command) => root.scripts[command] === undefined)).toEqual([])
})
