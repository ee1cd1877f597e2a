import { type Issue, OrienError, type ToolsFile, toolsFile } from '@orien/protocol'
import { type Document, isNode, LineCounter, parseDocument } from 'yaml'
import { manifestFaults } from './manifestFaults.ts'

/** A YAML bomb would grow through aliases; a manifest needs none. */
const MAX_ALIASES = 0

type Place = (path: readonly PropertyKey[]) => string

/** A tools file that was read. `at` is where a field of it stands: `file:line:column field`. */
export type ReadManifest = ToolsFile & { at: Place }

/** `3:5` of the node at a path, or of the nearest one above it: where the owner has to look. */
function placeOf(document: Document, lines: LineCounter): Place {
  return (path) => {
    for (let length = path.length; length >= 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true)
      const at = isNode(node) ? node.range?.[0] : undefined
      if (at === undefined) continue
      const { line, col } = lines.linePos(at)
      return `${line}:${col}`
    }
    return '1:1'
  }
}

const nameOf = (path: readonly PropertyKey[]) =>
  path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '')

/**
 * Reads the text of `orien.tools.yaml`.
 *
 * @param name how the file is called in messages
 * @param shipped ids of the tools that come with the node, which `builtin` may name
 * @throws OrienError `validation_failed`; each issue's path is `file:line:column field`
 */
export function readManifest(text: string, name: string, shipped: readonly string[] = []): ReadManifest {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, merge: false })
  const place = placeOf(document, lines)
  refuse(
    name,
    document.errors.map(({ pos, message }) => {
      const { line, col } = lines.linePos(pos[0])
      return { path: `${name}:${line}:${col}`, message: message.split('\n')[0] ?? 'is not YAML' }
    }),
  )
  const parsed = toolsFile.safeParse(plainValue(document, name))
  const at = (path: readonly PropertyKey[]) => `${name}:${place(path)} ${nameOf(path)}`
  if (!parsed.success) {
    refuse(
      name,
      parsed.error.issues.map(({ path, message }) => ({ path: at(path), message })),
    )
    throw new OrienError('validation_failed', `${name} is not a list of tools`)
  }
  refuse(
    name,
    manifestFaults(parsed.data, shipped).map(({ path, message }) => ({ path: at(path), message })),
  )
  return { ...parsed.data, at }
}

function plainValue(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch (cause) {
    throw new OrienError('validation_failed', `${name}: aliases are not allowed`, {}, { cause })
  }
}

function refuse(name: string, issues: Issue[]): void {
  const [first] = issues
  if (!first) return
  throw new OrienError('validation_failed', `${first.path}: ${first.message}`, { file: name, issues })
}
