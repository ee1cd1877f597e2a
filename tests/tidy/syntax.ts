import ts from 'typescript'
import type { Finding, SourceFile } from './rule.ts'

/** All nodes below `root`, itself included, in the order of the text. */
function* nodesOf(root: ts.Node): Generator<ts.Node> {
  yield root
  const children: ts.Node[] = []
  ts.forEachChild(root, (child) => void children.push(child))
  for (const child of children) yield* nodesOf(child)
}

/** `a.b.c` for a chain of property accesses, the name for an identifier, '' for anything else. */
export function dottedName(node: ts.Node): string {
  if (ts.isIdentifier(node)) return node.text
  if (!ts.isPropertyAccessExpression(node)) return ''
  const owner = dottedName(node.expression)
  return owner === '' ? '' : `${owner}.${node.name.text}`
}

/** The line of a position, counted from 1. */
export function lineAt(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1
}

/** Runs `look` on every node of a script and gives each message it returns the line of its node. */
export function findNodes(file: SourceFile, look: (node: ts.Node) => string | undefined): Finding[] {
  const { tree } = file
  if (tree === undefined) return []
  return [...nodesOf(tree)].flatMap((node) => {
    const message = look(node)
    return message === undefined ? [] : [{ line: lineAt(tree, node.getStart(tree)), message }]
  })
}

/** Tokens too, which `forEachChild` leaves out: a comment before a closing brace hangs on the brace. */
function* tokensOf(node: ts.Node): Generator<ts.Node> {
  yield node
  for (const child of node.getChildren()) yield* tokensOf(child)
}

/** The same for comments: `look` sees the text of each, and never a string that looks like one. */
export function findComments(file: SourceFile, look: (comment: string) => string | undefined): Finding[] {
  const { tree, text } = file
  if (tree === undefined) return []
  const ranges = [...tokensOf(tree)].flatMap((node) => [
    ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
    ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
  ])
  const unique = new Map(ranges.map((range) => [range.pos, range.end]))
  return [...unique].flatMap(([start, end]) => {
    const message = look(text.slice(start, end))
    return message === undefined ? [] : [{ line: lineAt(tree, start), message }]
  })
}

/** The same for lines of text: `look` sees each line. */
export function findLines(file: SourceFile, look: (line: string) => string | undefined): Finding[] {
  return file.text.split('\n').flatMap((line, index) => {
    const message = look(line)
    return message === undefined ? [] : [{ line: index + 1, message }]
  })
}
