import ts from 'typescript'
import { isScript, isShipped, type Rule } from '../rule.ts'
import { dottedName, findInComments, findNodes } from '../syntax.ts'

const BARE_ERROR = /^(Error|TypeError|RangeError|AggregateError)$/

export const bareThrow: Rule = {
  name: 'bare-throw',
  why: 'an operating error is an OrienError with a code of the table; a programmer error is an invariant',
  appliesTo: isShipped,
  check: (file) =>
    findNodes(file, (node) => {
      if (!ts.isThrowStatement(node)) return undefined
      const thrown = node.expression
      if (!ts.isNewExpression(thrown) && !ts.isCallExpression(thrown)) return undefined
      const name = dottedName(thrown.expression)
      return BARE_ERROR.test(name) ? `throws a bare ${name}` : undefined
    }),
}

export const silencedTypes: Rule = {
  name: 'silenced-types',
  why: 'a silenced type error is a bug with a delay; a type test states the error it expects elsewhere',
  appliesTo: (path) => isScript(path) && !path.endsWith('.test-d.ts'),
  check: (file) => findInComments(file, /(?:^|[^`'"\w])(@ts-(?:ignore|expect-error|nocheck))/),
}

export const unfinishedWork: Rule = {
  name: 'unfinished-work',
  why: 'what is not done belongs to the tracker, where someone looks',
  appliesTo: isScript,
  check: (file) => findInComments(file, /\b(TODO|FIXME|HACK)\b/),
}
