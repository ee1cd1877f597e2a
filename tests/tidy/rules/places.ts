import { isGenerated, type Rule } from '../rule.ts'
import { findLines } from '../syntax.ts'

// Character classes keep these patterns from finding themselves.
const MACHINE_PATH = /(?<![\w.~-])[/](?:work|root[/]\w+|home[/][a-z]\w+|Users[/]\w+)(?=[/\s'"`,;:)]|$)/
const OUTSIDE_FOLDER = /(?:[.][.][/])+shared\b/
const REGISTRY_HOST =
  /(?:registry[.](?:npmjs|yarnpkg|npmmirror)|npm[.]pkg[.]github|pypi[.]org|deb[.]debian|archive[.]ubuntu|static[.]crates|proxy[.]golang)\b/

export const machinePaths: Rule = {
  name: 'machine-paths',
  why: "a path of one person's machine means nothing on another",
  appliesTo: (path) => !isGenerated(path) && path !== 'pnpm-lock.yaml',
  check: (file) => findLines(file, (line) => MACHINE_PATH.exec(line)?.[0] ?? OUTSIDE_FOLDER.exec(line)?.[0]),
}

export const registryHosts: Rule = {
  name: 'registry-hosts',
  why: "where packages come from is the machine's setting, never the project's",
  appliesTo: () => true,
  check: (file) => findLines(file, (line) => REGISTRY_HOST.exec(line)?.[0]),
}

export const lockfileHosts: Rule = {
  name: 'lockfile-hosts',
  why: 'a lockfile that names a host installs from there only',
  appliesTo: (path) => path === 'pnpm-lock.yaml',
  check: (file) =>
    findLines(file, (line) => {
      if (/^\s*deprecated:/.test(line)) return undefined
      return /tarball:|registry:|[a-z+]+:\/\/\S+/.exec(line)?.[0]
    }),
}
