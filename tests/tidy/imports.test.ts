import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from './tree.ts'

type Cruise = { modules: { source: string; rules?: { name: string }[]; dependencies: Dependency[] }[] }
type Dependency = { rules?: { name: string }[] }

/** A small repository that breaks each import rule once: file → its imports, and the rules that must fire there. */
const wrong: Record<string, { text: string; rules: string[] }> = {
  'packages/contracts/src/abi.ts': {
    text: "import '@orien/protocol'",
    rules: ['arrow-contracts', 'contracts-import-nothing'],
  },
  'packages/protocol/src/file.ts': { text: "import 'node:fs'", rules: ['protocol-is-pure'] },
  'packages/protocol/src/chain.ts': { text: "import 'pg'", rules: ['protocol-is-pure'] },
  'packages/sdk/src/rail.ts': { text: "import '@orien/rails'", rules: ['arrow-sdk'] },
  'packages/rails/src/agent.ts': { text: "import '@orien/sdk'", rules: ['arrow-rails'] },
  'packages/rails/src/agent.test.ts': { text: "import '@orien/sdk'", rules: ['arrow-rails-tests'] },
  'packages/tracing/src/span.ts': { text: "import '@orien/protocol'", rules: ['arrow-tracing'] },
  'apps/coordinator/src/agent.ts': { text: "import '@orien/sdk'", rules: ['arrow-coordinator'] },
  'apps/provider-node/src/pay.ts': { text: "import '@orien/rails'", rules: ['arrow-provider-node'] },
  'apps/web/src/page.ts': { text: "import '@orien/coordinator'", rules: ['arrow-web'] },
  'apps/web/src/rows.ts': { text: "import 'pg'", rules: ['sql-only-in-stores'] },
  'apps/coordinator/src/session/open.ts': {
    text: "import '../settlement/plan.ts'\nimport 'pg'",
    rules: ['concept-order-session', 'sql-only-in-stores'],
  },
  'apps/coordinator/src/http/route.ts': { text: "import '../session/store.ts'", rules: ['http-calls-verbs'] },
  'apps/orien/src/up.ts': { text: "import '../../coordinator/src/config.ts'", rules: ['by-package-name'] },
  'packages/sdk/src/left.ts': { text: "import './right.ts'", rules: ['no-cycles'] },
  'packages/sdk/src/alone.ts': { text: 'export const a = 1', rules: ['no-orphans'] },
  'packages/sdk/src/probe.ts': { text: "import './run.test.ts'", rules: ['source-never-imports-tests'] },
  'packages/sdk/src/gone.ts': { text: "import './missing.ts'", rules: ['resolvable'] },
  'packages/sdk/src/undeclared.ts': { text: "import 'undeclared'", rules: ['declared'] },
  'packages/sdk/src/dev.ts': { text: "import 'development'", rules: ['no-dev-dependency-in-source'] },
}

const right: Record<string, string> = {
  'packages/contracts/src/index.ts': 'export const abi = 1',
  'packages/contracts/src/abi.test.ts': "import '@orien/protocol'",
  'packages/protocol/src/index.ts': "import 'zod'",
  'packages/rails/src/index.ts': "import '@orien/protocol'\nimport '@orien/contracts'",
  'packages/sdk/src/index.ts': "import '@orien/protocol'\nimport '@orien/contracts'",
  'packages/tracing/src/index.ts': 'export const a = 1',
  'packages/sdk/src/right.ts': "import type {} from './left.ts'",
  'packages/sdk/src/run.test.ts': "import 'development'",
  'apps/coordinator/src/index.ts': "import '@orien/protocol'\nimport '@orien/rails'",
  'apps/coordinator/src/config.ts': "import type {} from 'pg'",
  'apps/coordinator/src/session/store.ts': "import 'pg'",
  'apps/coordinator/src/db/connect.ts': "import 'pg'",
  'apps/coordinator/src/settlement/plan.ts': "import '../session/store.ts'",
  'apps/provider-node/src/index.ts': "import '@orien/sdk'",
  'apps/orien/src/index.ts': 'export const a = 1',
  'apps/orien/src/main.ts': "import '@orien/coordinator'\nimport '@orien/provider-node'\nimport '@orien/sdk'",
  'tests/e2e/all.test.ts': "import '@orien/orien'",
}

const thirdParty = ['zod', 'pg', 'development', 'undeclared']
const workspaces = [
  'packages/contracts',
  'packages/protocol',
  'packages/rails',
  'packages/sdk',
  'packages/tracing',
  'apps/coordinator',
]
const allWorkspaces = [...workspaces, 'apps/provider-node', 'apps/web', 'apps/orien', 'tests']
const fired = new Map<string, string[]>()
const folder = mkdtempSync(join(tmpdir(), 'orien-imports-'))

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

function writeWorkspace(workspace: string): void {
  const name = `@orien/${workspace.split('/').at(-1)}`
  const dependencies = Object.fromEntries(
    ['zod', 'pg', ...allWorkspaces].map((each) => [packageName(each), '*']),
  )
  const manifest = {
    name,
    exports: { '.': './src/index.ts' },
    dependencies,
    devDependencies: { development: '*' },
  }
  write(`${workspace}/package.json`, JSON.stringify(manifest))
  write(`node_modules/@orien/.keep`, '')
  symlinkSync(join(folder, workspace), join(folder, 'node_modules', name))
}

function packageName(workspace: string): string {
  return workspace.includes('/') ? `@orien/${workspace.split('/').at(-1)}` : workspace
}

function cruise(): Cruise {
  const config = join(repository, '.dependency-cruiser.cjs')
  const args = ['--config', config, '--output-type', 'json', 'packages', 'apps', 'tests']
  const options = { cwd: folder, encoding: 'utf8' as const, maxBuffer: 1 << 26 }
  return JSON.parse(execFileSync(join(repository, 'node_modules/.bin/depcruise'), args, options)) as Cruise
}

beforeAll(() => {
  write('package.json', JSON.stringify({ name: 'fixture', private: true }))
  write(
    'tsconfig.json',
    JSON.stringify({ compilerOptions: { module: 'nodenext', allowImportingTsExtensions: true } }),
  )
  for (const name of thirdParty) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }))
    write(`node_modules/${name}/index.js`, 'export const a = 1')
  }
  for (const workspace of allWorkspaces) writeWorkspace(workspace)
  for (const [path, text] of Object.entries(right)) write(path, text)
  for (const [path, { text }] of Object.entries(wrong)) write(path, text)
  for (const module of cruise().modules) {
    const rules = [
      ...(module.rules ?? []),
      ...module.dependencies.flatMap((dependency) => dependency.rules ?? []),
    ]
    fired.set(module.source, [...new Set(rules.map((rule) => rule.name))].sort())
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.each(Object.entries(wrong))('a wrong import in %s fails', (path, { rules }) => {
  expect(fired.get(path)).toEqual(rules)
})

test.each(Object.keys(right).filter((path) => !path.endsWith('right.ts')))(
  'the imports of %s are allowed',
  (path) => {
    expect(fired.get(path)).toEqual([])
  },
)

test('every rule of the configuration is shown to fire', () => {
  const config = execFileSync(process.execPath, [
    '-p',
    `JSON.stringify(require(${JSON.stringify(join(repository, '.dependency-cruiser.cjs'))}).forbidden.map(rule => rule.name))`,
  ])
  const shown = new Set([...fired.values()].flat())
  const derived = /^(concept-order-|arrow-)/
  const names = (JSON.parse(config.toString()) as string[]).filter((name) => !derived.test(name))
  expect(names.filter((name) => !shown.has(name))).toEqual([])
})
