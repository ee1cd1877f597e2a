import ts from 'typescript'
import { isShipped, type Rule } from '../rule.ts'
import { dottedName, findNodes } from '../syntax.ts'

const STATEMENT =
  /^\s*(select\s[\s\S]*\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s|(create|alter|drop)\s+(table|index|function|schema)\s|notify\s|listen\s)/i
const OWNER = /^apps\/coordinator\/src\/(db\/|(.*\/)?store\.ts$)/

function literalText(node: ts.Node): string {
  if (ts.isStringLiteralLike(node)) return node.text
  return ts.isTemplateExpression(node) ? node.head.text : ''
}

export const sqlOnlyInStores: Rule = {
  name: 'sql-only-in-stores',
  why: 'SQL stands in store.ts files, in db/ and in .sql files: whoever changes a table knows where to look',
  appliesTo: (path) => isShipped(path) && path.startsWith('apps/') && !OWNER.test(path),
  check: (file) =>
    findNodes(file, (node) => {
      if (ts.isTaggedTemplateExpression(node) && dottedName(node.tag) === 'sql') return 'an SQL template'
      // Pages talk to people in sentences that may begin like a statement.
      if (!file.path.startsWith('apps/coordinator/')) return undefined
      return STATEMENT.test(literalText(node)) ? 'an SQL statement' : undefined
    }),
}
