import ts from 'typescript'
import type { Finding, SourceFile } from './rule.ts'

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
  const { tree, nodes } = file.syntax ?? {}
  if (tree === undefined || nodes === undefined) return []
  return nodes.flatMap((node) => {
    const message = look(node)
    return message === undefined ? [] : [{ line: lineAt(tree, node.getStart(tree)), message }]
  })
}

/** Tokens too, which `forEachChild` leaves out: a comment before a closing brace hangs on the brace. */
function* tokensOf(node: ts.Node): Generator<ts.Node> {
  yield node
  for (const child of node.getChildren()) yield* tokensOf(child)
}

/** Finds what a pattern's first group names, in comments only: a string that looks like one is not meant. */
export function findInComments(file: SourceFile, pattern: RegExp): Finding[] {
  const { text } = file
  const tree = file.syntax?.tree
  if (tree === undefined || !pattern.test(text)) return []
  const ranges = [...tokensOf(tree)].flatMap((node) => [
    ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
    ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
  ])
  const unique = new Map(ranges.map((range) => [range.pos, range.end]))
  return [...unique].flatMap(([start, end]) => {
    const message = pattern.exec(text.slice(start, end))?.[1]
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
