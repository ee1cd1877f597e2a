import type { ArgumentSpec, ArgvPart, ToolManifest, ToolsFile } from '@orien/protocol'
import { namesOf } from '../argv/build.ts'
import { templatePieces } from '../argv/template.ts'

/** What a schema cannot say about one tool: the place inside the file, and what is wrong there. */
export type ManifestFault = { path: (string | number)[]; message: string }

/**
 * Mistakes across fields: a name that leads nowhere, or is given twice, or to the wrong kind of argument.
 *
 * @param shipped ids of the tools that come with the node
 */
export function manifestFaults({ builtin, tools }: ToolsFile, shipped: readonly string[]): ManifestFault[] {
  const faults: ManifestFault[] = []
  const seen = new Set<string>()
  builtin.forEach((id, index) => {
    if (seen.has(id)) faults.push({ path: ['builtin', index], message: 'is named twice' })
    if (!shipped.includes(id))
      faults.push({
        path: ['builtin', index],
        message: `no tool ${id} comes with the node (${shipped.join(', ')} do)`,
      })
    seen.add(id)
  })
  tools.forEach((tool, index) => {
    const own = [...partFaults(tool), ...stdinFaults(tool), ...argumentFaults(tool), ...textFaults(tool)]
    if (seen.has(tool.id)) own.push({ path: ['id'], message: 'is the id of an earlier tool' })
    seen.add(tool.id)
    faults.push(...own.map(({ path, message }) => ({ path: ['tools', index, ...path], message })))
  })
  return faults
}

type NamedPart = Exclude<ArgvPart, { kind: 'literal' | 'template' }>

function partFault(part: NamedPart, spec: ArgumentSpec | undefined): string | null {
  if (!spec) return `names no argument: ${part.name}`
  if (part.kind === 'flag' && spec.type !== 'boolean') return 'a flag needs a boolean argument'
  return null
}

/** Text without a format may hold anything, and a list has no single value. */
const isClosed = (spec: ArgumentSpec): boolean =>
  spec.type === 'integer' ||
  spec.type === 'number' ||
  (spec.type === 'string' && (spec.enum !== undefined || spec.format !== undefined))

/** A format never begins with a dash; an enumeration or a number may. */
const mayBeginWithDash = (spec: ArgumentSpec): boolean =>
  spec.type === 'string'
    ? (spec.enum ?? []).some((value) => value.startsWith('-'))
    : !('minimum' in spec && spec.minimum !== undefined && spec.minimum >= 0)

function templateFault(template: string, tool: ToolManifest): string | null {
  const pieces = templatePieces(template)
  const names = namesOf({ kind: 'template', value: template })
  if (names.length === 0) return 'names no argument; a fixed element is a literal'
  for (const name of names) {
    const spec = property(tool, name)
    if (!spec) return `names no argument: ${name}`
    if (!isClosed(spec))
      return `${name} may not stand in a template: only numbers, enumerations and texts with a format`
  }
  const first = pieces[0]
  const opener = first && 'name' in first ? property(tool, first.name) : undefined
  if (opener && mayBeginWithDash(opener))
    return 'may begin with a dash: give the first argument a minimum of 0'
  return null
}

function partFaults(tool: ToolManifest): ManifestFault[] {
  return tool.argv.flatMap((part, index): ManifestFault[] => {
    if (part.kind === 'literal') return []
    const field = part.kind === 'template' ? 'value' : 'name'
    const message =
      part.kind === 'template' ? templateFault(part.value, tool) : partFault(part, property(tool, part.name))
    return message ? [{ path: ['argv', index, field], message }] : []
  })
}

function stdinFaults(tool: ToolManifest): ManifestFault[] {
  if (tool.stdin === undefined) return []
  const spec = property(tool, tool.stdin)
  return spec?.type === 'string' ? [] : [{ path: ['stdin'], message: 'must name a string argument' }]
}

function argumentFaults(tool: ToolManifest): ManifestFault[] {
  const used = new Set(tool.argv.flatMap(namesOf))
  if (tool.stdin !== undefined) used.add(tool.stdin)
  const names = Object.keys(tool.arguments.properties)
  return names
    .filter((name) => !used.has(name))
    .map((name) => ({
      path: ['arguments', 'properties', name],
      message: 'is used neither in argv nor as stdin',
    }))
}

/** The kernel ends a string at NUL; a manifest that holds one would run something else than it says. */
function textFaults(tool: ToolManifest): ManifestFault[] {
  const texts: [(string | number)[], string][] = [
    [['executable'], tool.executable],
    ...Object.entries(tool.env).map(([name, value]): [string[], string] => [['env', name], value]),
    ...tool.argv.flatMap((part, index): [(string | number)[], string][] =>
      'value' in part ? [[['argv', index, 'value'], part.value]] : [],
    ),
  ]
  return texts.flatMap(([path, text]) =>
    text.includes('\0') ? [{ path, message: 'must not hold NUL' }] : [],
  )
}

function property(tool: ToolManifest, name: string): ArgumentSpec | undefined {
  return Object.hasOwn(tool.arguments.properties, name) ? tool.arguments.properties[name] : undefined
}
