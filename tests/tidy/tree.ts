import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { isScript, type SourceFile } from './rule.ts'

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

/** Makes a file as the rules see it, from text that need not be on the disk. */
export function sourceFile(path: string, text: string): SourceFile {
  const tree = isScript(path) ? ts.createSourceFile(path, text, ts.ScriptTarget.ES2024, true) : undefined
  return { path, text, tree }
}

/** Every text file of the repository, sorted by path. */
export function readRepository(): SourceFile[] {
  return walk(repository)
    .filter((path) => TEXT_FILE.test(path))
    .sort()
    .map((path) => sourceFile(path, readFileSync(join(repository, path), 'utf8')))
}
