#!/usr/bin/env node
// Plain JavaScript, and these two before anything else: a short command spends its time on loading modules, not on
// its work. docs/performance.md has the figures.
import * as modules from 'node:module'
import { fileURLToPath } from 'node:url'

// A machine may have an older Node than runs TypeScript: the project brings its own where it can.
if (!process.features.typescript) process.exit(await runOnOwnNode())

// Node loads its TypeScript compiler for the file that it is given; from here on it finds compiled code in its cache.
modules.enableCompileCache()

// Two hundred files name their neighbours in full (`./amount.ts`), as ES modules must. Node still looks for each in
// its folder, for links and for package.json; joining the two names gives the same. Of Zod's languages, which are
// half of its files, only English is ever spoken.
modules.registerHooks({
  resolve(specifier, context, next) {
    const { parentURL, conditions } = context
    if (!specifier.startsWith('.') || parentURL === undefined || !conditions.includes('import'))
      return next(specifier, context)
    const isLanguages = specifier === '../locales/index.js' && parentURL.includes('/zod/v4/')
    const url = new URL(isLanguages ? '../locales/en.js' : specifier, parentURL).href
    if (url.endsWith('.ts')) return { url, format: 'module-typescript', shortCircuit: true }
    return { url, shortCircuit: true }
  },
})
await import('../src/main.ts')

async function runOnOwnNode() {
  const { existsSync } = await import('node:fs')
  const own = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url))
  if (!existsSync(own)) {
    console.error(
      `orien: needs Node 22.18 or newer, this is ${process.versions.node}. \`npm start\` brings one where it can.`,
    )
    return 1
  }
  const { runToEnd } = await import('../../../scripts/runToEnd.mjs')
  return runToEnd(own, process.argv.slice(1), { stdio: 'inherit' })
}
