import type { ArgumentSpec, ArgvPart, ToolManifest } from '@orien/protocol'

/** What a schema cannot say about one tool: the place inside the file, and what is wrong there. */
export type ManifestFault = { path: (string | number)[]; message: string }

/** Mistakes across fields: a name that leads nowhere, or is given twice, or to the wrong kind of argument. */
export function manifestFaults(tools: readonly ToolManifest[]): ManifestFault[] {
  const faults: ManifestFault[] = []
  const seen = new Set<string>()
  tools.forEach((tool, index) => {
    const own = [...partFaults(tool), ...stdinFaults(tool), ...argumentFaults(tool), ...textFaults(tool)]
    if (seen.has(tool.id)) own.push({ path: ['id'], message: 'is the id of an earlier tool' })
    seen.add(tool.id)
    faults.push(...own.map(({ path, message }) => ({ path: ['tools', index, ...path], message })))
  })
  return faults
}

function partFault(part: ArgvPart, spec: ArgumentSpec | undefined): string | null {
  if (part.kind === 'literal') return null
  if (!spec) return `names no argument: ${part.name}`
  if (part.kind === 'flag' && spec.type !== 'boolean') return 'a flag needs a boolean argument'
  if (part.kind === 'option' && spec.type === 'boolean') return 'a boolean needs a flag'
  return null
}

function partFaults(tool: ToolManifest): ManifestFault[] {
  return tool.argv.flatMap((part, index) => {
    const message = part.kind === 'literal' ? null : partFault(part, property(tool, part.name))
    return message ? [{ path: ['argv', index, 'name'], message }] : []
  })
}

function stdinFaults(tool: ToolManifest): ManifestFault[] {
  if (tool.stdin === undefined) return []
  const spec = property(tool, tool.stdin)
  return spec?.type === 'string' ? [] : [{ path: ['stdin'], message: 'must name a string argument' }]
}

function argumentFaults(tool: ToolManifest): ManifestFault[] {
  const used = new Set(tool.argv.flatMap((part) => (part.kind === 'literal' ? [] : [part.name])))
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
      part.kind === 'literal' || part.kind === 'flag' ? [[['argv', index, 'value'], part.value]] : [],
    ),
  ]
  return texts.flatMap(([path, text]) =>
    text.includes('\0') ? [{ path, message: 'must not hold NUL' }] : [],
  )
}

function property(tool: ToolManifest, name: string): ArgumentSpec | undefined {
  return Object.hasOwn(tool.arguments.properties, name) ? tool.arguments.properties[name] : undefined
}
