import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { readRepository, repository } from './tree.ts'

type Manifest = Partial<
  Record<'dependencies' | 'devDependencies' | 'optionalDependencies' | 'peerDependencies', Versions>
>
type Versions = Record<string, string>
type Workspace = { catalog: Versions; allowBuilds: Record<string, boolean> }

const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const workspace = parse(read('pnpm-workspace.yaml')) as Workspace
const document = read('docs/dependencies.md')

/** Every dependency of every package.json that is not a workspace of ours, as `[path, name, version]`. */
const used = readRepository()
  .filter((file) => file.path.endsWith('package.json'))
  .flatMap((file) => {
    const manifest = JSON.parse(file.text) as Manifest
    const { dependencies, devDependencies, optionalDependencies, peerDependencies } = manifest
    const all = { ...dependencies, ...devDependencies, ...optionalDependencies, ...peerDependencies }
    return Object.entries(all).map(([name, version]) => ({ path: file.path, name, version }))
  })
  .filter(({ name }) => !name.startsWith('@orien/'))

/** Package names in the first column of the tables below a heading. */
function documented(heading: string): string[] {
  const section = document.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) =>
    [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
  )
}

test('every dependency has a written reason, and every reason a dependency', () => {
  const names = [...new Set(used.map(({ name }) => name))].sort()
  const reasons = [...documented('What ships'), ...documented('What builds and checks')].sort()
  expect(reasons).toEqual(names)
})

test('every package that may or may not run an install script has a written reason', () => {
  expect(documented('Install scripts').sort()).toEqual(Object.keys(workspace.allowBuilds).sort())
})

test('a version stands once, in the catalog, and is exact', () => {
  const exact = /^\d+\.\d+\.\d+(-[\w.-]+)?$/
  expect(Object.entries(workspace.catalog).filter(([, version]) => !exact.test(version))).toEqual([])
  expect(used.filter(({ version }) => version !== 'catalog:' && !exact.test(version))).toEqual([])
})
