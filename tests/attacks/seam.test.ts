import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const apps = fileURLToPath(new URL('../../apps/', import.meta.url))

it('no program of the product takes a defence away: the seam is named where it is declared, and nowhere else', () => {
  const sources = readdirSync(apps).flatMap((app) => {
    const dir = join(apps, app, 'src')
    const names = existsSync(dir) ? readdirSync(dir, { recursive: true, encoding: 'utf8' }) : []
    return names
      .filter((name) => /\.(ts|tsx|mjs)$/.test(name) && !name.endsWith('.test.ts'))
      .map((name) => join(app, 'src', name))
  })
  const naming = sources.filter((name) => /\bweaken\b/.test(readFileSync(join(apps, name), 'utf8')))
  expect(naming).toEqual(['provider-node/src/sandbox/setUp.ts'])
})
