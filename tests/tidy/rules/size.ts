import ts from 'typescript'
import { isGenerated, isScript, isTest, type Rule } from '../rule.ts'
import { dottedName, findNodes, lineAt } from '../syntax.ts'

const MAX_FILE_LINES = 400
const MAX_FUNCTION_LINES = 60

export const fileLength: Rule = {
  name: 'file-length',
  why: `a file of more than ${MAX_FILE_LINES} lines holds more than one thing: split it where its reader would`,
  appliesTo: (path) => (isScript(path) || /\.(sql|sol|c|h|css)$/.test(path)) && !isGenerated(path),
  check: (file) => {
    const lines = file.text.replace(/\n$/, '').split('\n').length
    return lines > MAX_FILE_LINES ? [{ line: MAX_FILE_LINES + 1, message: `${lines} lines` }] : []
  },
}

/** What a call is made on in the end: `describe` for `describe.each(table)(title, callback)`. */
function firstName(node: ts.Node): string {
  return ts.isCallExpression(node) ? firstName(node.expression) : dottedName(node)
}

/**
 * `describe` only groups: its length says nothing about how much one reader has to hold in mind. A function of a
 * contract that is called so groups as well.
 */
function isGroupOfTests(node: ts.Node, path: string): boolean {
  if (!isTest(path)) return false
  if (ts.isFunctionDeclaration(node)) return /^describe[A-Z]/.test(node.name?.text ?? '')
  return ts.isCallExpression(node.parent) && /^(describe|suite)(\.|$)/.test(firstName(node.parent))
}

export const functionLength: Rule = {
  name: 'function-length',
  why: `a function of more than ${MAX_FUNCTION_LINES} lines mixes control flow with details: move the details out`,
  appliesTo: (path) => isScript(path) && !isGenerated(path),
  check: (file) =>
    findNodes(file, (node) => {
      if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return undefined
      if (isGroupOfTests(node, file.path)) return undefined
      const tree = node.getSourceFile()
      const lines = lineAt(tree, node.end) - lineAt(tree, node.getStart(tree)) + 1
      return lines > MAX_FUNCTION_LINES ? `a function of ${lines} lines` : undefined
    }),
}
