import ts from 'typescript'
import { isShipped, type Rule } from '../rule.ts'
import { dottedName, findNodes } from '../syntax.ts'

/** Shipped files that may read a clock, chance or the environment are named after it. */
const isFileCalled = (path: string, name: string) => path.split('/').at(-1) === name

export const environment: Rule = {
  name: 'environment-only-in-config',
  why: 'what can be set is listed in one place: config.ts reads and parses the environment, the rest is given values',
  appliesTo: (path) => isShipped(path) && !isFileCalled(path, 'config.ts'),
  check: (file) =>
    findNodes(file, (node) => (dottedName(node) === 'process.env' ? 'reads process.env' : undefined)),
}

const MONOTONIC = /^(performance\.now|process\.hrtime(\.bigint)?)$/
const CLOCK_CALL = /^(Date\.now|Date|performance\.now|process\.hrtime(\.bigint)?)$/
/**
 * Where processes and sockets are waited for or measured. A monotonic reading means nothing outside its process, so
 * it cannot leak into the domain; the date can, and stays forbidden here too.
 */
const WAITS_FOR_THE_SYSTEM =
  /^(apps\/provider-node\/src\/sandbox|apps\/coordinator\/src\/db\/embedded|packages\/rails\/src\/localChain|packages\/sdk\/src\/http)\//

export const clock: Rule = {
  name: 'clock-only-in-clock',
  why: 'time is read in clock.ts and passed in, so that every deadline can be tested at its boundary',
  appliesTo: (path) => isShipped(path) && !isFileCalled(path, 'clock.ts'),
  check: (file) =>
    findNodes(file, (node) => {
      if (ts.isNewExpression(node) && dottedName(node.expression) === 'Date') {
        return (node.arguments?.length ?? 0) === 0 ? 'reads the clock with new Date()' : undefined
      }
      if (!ts.isCallExpression(node)) return undefined
      const name = dottedName(node.expression)
      if (WAITS_FOR_THE_SYSTEM.test(file.path) && MONOTONIC.test(name)) return undefined
      return CLOCK_CALL.test(name) ? `reads the clock with ${name}()` : undefined
    }),
}

const CHANCE = /^(randomBytes|randomUUID|randomInt|randomFill|randomFillSync|getRandomValues)$/

export const chance: Rule = {
  name: 'chance-only-in-random',
  why: 'chance comes from random.ts and is passed in, so that a run can be repeated',
  appliesTo: (path) => isShipped(path) && !isFileCalled(path, 'random.ts'),
  check: (file) =>
    findNodes(file, (node) => {
      if (!ts.isCallExpression(node)) return undefined
      const name = dottedName(node.expression)
      const isChance = name === 'Math.random' || CHANCE.test(name.split('.').at(-1) ?? '')
      return isChance ? `draws from ${name}()` : undefined
    }),
}
