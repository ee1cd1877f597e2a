import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { isScript, type SourceFile, type Syntax } from './rule.ts'

export const repository = fileURLToPath(new URL('../..', import.meta.url))

/** Folders that git ignores or owns. Walked by hand, so that the rules hold in an exported tree without git too. */
const IGNORED_FOLDERS = new Set(['node_modules', '.git', '.orien', '.cache', '.next', 'dist', 'coverage'])
const TEXT_FILE =
  /\.([cm]?[jt]sx?|json|ya?ml|md|sql|sol|c|h|css|html|sh|toml|txt|py)$|^\.ci\/|^\.[a-z]+rc$|ignore$/

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return IGNORED_FOLDERS.has(entry.name) ? [] : walk(path)
    return entry.isFile() ? [relative(repository, path)] : []
  })
}

function parse(path: string, text: string): Syntax {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2024, true)
  const nodes: ts.Node[] = []
  const visit = (node: ts.Node) => {
    nodes.push(node)
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return { tree, nodes }
}

/** Makes a file as the rules see it, from text that need not be on the disk. */
export function sourceFile(path: string, text: string): SourceFile {
  return { path, text, syntax: isScript(path) ? parse(path, text) : undefined }
}

/** Every text file of the repository, sorted by path. */
export function readRepository(): SourceFile[] {
  return walk(repository)
    .filter((path) => TEXT_FILE.test(path))
    .sort()
    .map((path) => sourceFile(path, readFileSync(join(repository, path), 'utf8')))
}
